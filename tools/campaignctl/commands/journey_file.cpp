#include "tools/campaignctl/commands/journey_file.hpp"

#include <fmt/core.h>

#include "actors/journey/definition.hpp"
#include "gateways/json/codec.hpp"
#include "gateways/json/rules.hpp"
#include "tools/campaignctl/document.hpp"
#include "tools/campaignctl/report.hpp"

namespace cx::ctl {
namespace {

constexpr std::size_t kMaxFile = 8 << 20;

Outcome<boost::json::object> read_object(const std::string& file) {
  const auto name = file == "-" ? "stdin" : file;
  const auto text = read_input(file, kMaxFile);
  if (!text) return text.error();
  auto parsed = parse_document(*text, name);
  if (!parsed) return parsed.error();
  if (parsed->is_object()) return std::move(parsed->get_object());
  return Failure{Exit::rejected, "malformed-document", name + " does not hold an object with fields", ""};
}

std::optional<Error> check(const boost::json::object& document, google::protobuf::Message& into) {
  if (auto error = cx::json::parse(to_json(document, false), into)) return error;
  return cx::json::validate(into);
}

}  // namespace

Outcome<JourneyFile> read_journey(const std::string& file) {
  auto document = read_object(file);
  if (!document) return document.error();
  JourneyFile out{file == "-" ? "stdin" : file, std::move(*document), {}, {}};
  if (const auto error = check(out.document, out.journey)) {
    auto& problem = out.problems.emplace_back();
    problem.set_type(error->type);
    problem.set_pointer(error->pointer);
    problem.set_detail(error->detail);
  }
  // What could not be read would be said to be missing.
  const bool readable = out.problems.empty() || out.problems.front().type() == "required-field";
  if (readable) {
    auto found = journey::problems_of(out.journey);
    if (!found.empty()) out.problems = std::move(found);
  }
  return out;
}

std::string problem_lines(const JourneyFile& file) {
  std::string out;
  for (const auto& problem : file.problems)
    out += fmt::format("{}{}: {} ({})\n", file.name, problem.pointer(), problem.detail(), problem.type());
  return out;
}

Outcome<void> read_message(const std::string& file, google::protobuf::Message& into) {
  const auto document = read_object(file);
  if (!document) return document.error();
  if (const auto error = check(*document, into))
    return Failure{Exit::rejected, error->type, fmt::format("{}{}: {}", file, error->pointer, error->detail),
                   ""};
  return {};
}

}  // namespace cx::ctl
