#include "tools/campaignctl/commands/journey_file.hpp"

#include <algorithm>
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

v1::JourneyProblem problem_of(const Error& error) {
  v1::JourneyProblem out;
  out.set_type(error.type);
  out.set_pointer(error.pointer);
  out.set_detail(error.detail);
  return out;
}

}  // namespace

Outcome<JourneyFile> read_journey(const std::string& file) {
  auto document = read_object(file);
  if (!document) return document.error();
  JourneyFile out{file, file == "-" ? "stdin" : file, std::move(*document), {}, {}};
  if (const auto error = cx::json::parse(to_json(out.document, false), out.journey)) {
    out.problems = {problem_of(*error)};  // what could not be read would be said to be missing
    return out;
  }
  out.problems = journey::problems_of(out.journey);
  // Of what both look at, the journey's own words are the better ones.
  const auto error = cx::json::validate(out.journey);
  const auto same_place = [&](const auto& problem) { return problem.pointer().starts_with(error->pointer); };
  if (error && std::none_of(out.problems.begin(), out.problems.end(), same_place))
    out.problems.push_back(problem_of(*error));
  return out;
}

std::string problem_lines(const JourneyFile& file) {
  std::string out;
  for (const auto& problem : file.problems)
    out += fmt::format("{}{}: {} ({})\n", file.name, problem.pointer(), problem.detail(), problem.type());
  return out;
}

Failure refused(const JourneyFile& file) {
  const auto& first = file.problems.front();
  const auto rest = file.problems.size() == 1 ? std::string()
                                              : fmt::format("; and {} more: campaignctl journeys validate {}",
                                                            file.problems.size() - 1, file.path);
  return {Exit::rejected, first.type(),
          fmt::format("{}{}: {}{}", file.name, first.pointer(), first.detail(), rest), ""};
}

Outcome<void> read_message(const std::string& file, google::protobuf::Message& into) {
  const auto document = read_object(file);
  if (!document) return document.error();
  auto error = cx::json::parse(to_json(*document, false), into);
  if (!error) error = cx::json::validate(into);
  if (error)
    return Failure{Exit::rejected, error->type, fmt::format("{}{}: {}", file, error->pointer, error->detail),
                   ""};
  return {};
}

}  // namespace cx::ctl
