#include <filesystem>
#include <fmt/core.h>

#include "gateways/json/codec.hpp"
#include "runtime/address.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/commands/journey_file.hpp"
#include "tools/campaignctl/confirm.hpp"
#include "tools/campaignctl/contract/call.hpp"
#include "tools/campaignctl/contract/methods.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

constexpr std::size_t kMostChanges = 1'000;

Outcome<Report> validate(const Call& call) {
  const auto file = read_journey(call.value("FILE"));
  if (!file) return file.error();
  Report report;
  json::array problems;
  report.columns = {{"pointer"}, {"type"}, {"detail"}};
  for (const auto& problem : file->problems) {
    const json::object one{
        {"type", problem.type()}, {"pointer", problem.pointer()}, {"detail", problem.detail()}};
    report.rows.push_back({problem.pointer() + " " + problem.type(), one});
    problems.push_back(one);
  }
  report.document = to_json(json::object{{"valid", problems.empty()}, {"problems", problems}}, true);
  if (file->problems.empty()) {
    report.notes = {fmt::format("{} is valid: {} steps", file->name, file->journey.steps_size())};
  } else {
    report.draw = [text = problem_lines(*file)](const View&) { return text; };
    report.notes = {fmt::format("{} is not valid: {} problems", file->name, file->problems.size())};
    report.exit = Exit::bad;
  }
  return report;
}

// What changes.

struct Change {
  std::string pointer, change;  ///< "added", "removed", "changed"
  json::value before, after;
};

void compare(const json::value& before, const json::value& after, const std::string& pointer,
             std::vector<Change>& changes) {
  if (changes.size() >= kMostChanges || before == after) return;
  const auto part = [&](const json::value* a, const json::value* b, const std::string& at) {
    if (a != nullptr && b != nullptr) return compare(*a, *b, at, changes);
    if (b != nullptr)
      changes.push_back({at, "added", nullptr, *b});
    else
      changes.push_back({at, "removed", *a, nullptr});
  };
  if (before.is_object() && after.is_object()) {
    for (const auto& [name, value] : before.get_object())
      part(&value, after.get_object().if_contains(name), pointer + "/" + std::string(name));
    for (const auto& [name, value] : after.get_object())
      if (!before.get_object().contains(name)) part(nullptr, &value, pointer + "/" + std::string(name));
  } else if (before.is_array() && after.is_array()) {
    const auto &a = before.get_array(), &b = after.get_array();
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
      part(a.if_contains(i), b.if_contains(i), pointer + "/" + std::to_string(i));
  } else {
    changes.push_back({pointer, "changed", before, after});
  }
}

/// A definition as both sides of a comparison write it.
json::value shown(const v1::Journey& journey) {
  return json::parse(cx::json::print(journey));
}

Outcome<std::string> id_of(const JourneyFile& file) {
  auto id = plain(at(file.document, "id"));
  if (id.empty() && file.name != "stdin") id = std::filesystem::path(file.name).stem().string();
  if (is_name(id)) return id;
  return usage(fmt::format(
      "{} does not say what the journey is called: add \"id\", 1 to 63 of a-z, 0-9 and '-'", file.name));
}

struct Stored {
  v1::Journey journey;
  std::string etag;
  bool exists = false;
};

Outcome<Stored> stored(const Call& call, const std::string& id) {
  const auto request = http_request(method_named("cx.v1.Journeys.Get"), {{"id", id}});
  if (!request) return request.error();
  const auto answer = ask_object(call, *request);
  Stored out;
  if (!answer) {
    if (answer.error().exit == Exit::not_found) return out;
    return answer.error();
  }
  if (const auto error = cx::json::parse(to_json(*answer, false), out.journey))
    return Failure{Exit::server_failed, "not-understood",
                   fmt::format("the server's definition of {} cannot be read: {}", id, error->detail), ""};
  out.etag = plain(at(*answer, "etag"));
  out.exists = true;
  return out;
}

Outcome<std::string> put(const Call& call, const std::string& id, const v1::Journey& journey,
                         const Stored& before) {
  auto request = http_request(method_named("cx.v1.Journeys.Put"), {{"id", id}, {"journey", shown(journey)}});
  if (!request) return request.error();
  // Nobody else's edit is overwritten unseen.
  if (before.exists && !before.etag.empty())
    request->fields.emplace_back("If-Match", '"' + before.etag + '"');
  const auto answer = ask_object(call, *request);
  if (!answer) return answer.error();
  return plain(at(*answer, "revision"));
}

Outcome<Report> apply(const Call& call) {
  const auto file = read_journey(call.value("FILE"));
  if (!file) return file.error();
  if (!file->problems.empty()) return refused(*file);
  const auto id = id_of(*file);
  if (!id) return id.error();
  const auto before = stored(call, *id);
  if (!before) return before.error();

  std::vector<Change> changes;
  if (before->exists)
    compare(shown(before->journey), shown(file->journey), "", changes);
  else
    changes.push_back({"", "added", nullptr, nullptr});
  Report report;
  report.columns = {{"change"}, {"pointer"}, {"before"}, {"after"}};
  json::array list;
  for (auto& change : changes) {
    const json::object one{{"change", change.change},
                           {"pointer", change.pointer},
                           {"before", change.before},
                           {"after", change.after}};
    report.rows.push_back({change.pointer, one});
    list.push_back(one);
  }
  std::string revision;
  const bool store = !changes.empty() && !call.has("dry-run");
  if (store) {
    if (const auto allowed = call.check_allowed(); !allowed) return allowed.error();
    if (!call.has("yes")) {
      if (const auto possible = can_ask(call, kYes); !possible) return possible.error();
      const auto what =
          before->exists ? fmt::format("{} changes", changes.size()) : std::string("a new journey");
      if (const auto yes =
              ask_yes(fmt::format("store {} as {} at {}?", what, *id, call.settings().server()->value));
          !yes)
        return yes.error();
    }
    auto put_done = put(call, *id, file->journey, *before);
    if (!put_done) return put_done.error();
    revision = *put_done;
  }
  report.document = to_json(
      json::object{{"id", *id}, {"stored", store}, {"revision", revision}, {"changes", std::move(list)}},
      true);
  if (changes.empty())
    report.notes = {fmt::format("{} is what {} says already: nothing was stored", *id, file->name)};
  else if (!store)
    report.notes = {"nothing was stored"};
  else
    report.notes = {
        fmt::format("revision {} of {} is stored; customers start with it after: campaignctl journeys "
                    "activate {}",
                    revision, *id, *id)};
  return report;
}

}  // namespace

std::vector<Command> journey_commands() {
  const Argument file{"FILE", "The definition, JSON or YAML; - reads stdin", {}, Offer::files};
  Command validate_verb{
      "journeys validate",
      "Say everything that is wrong with a definition, without a server",
      {"campaignctl journeys validate welcome.yaml", "campaignctl journeys validate - -o json"}};
  validate_verb.arguments = {file};
  validate_verb.flags = {kNoHeaders};
  validate_verb.details =
      "Exits with 10 where there is something. That its channels and templates exist is looked at when it is "
      "activated.";
  validate_verb.run = validate;

  Command apply_verb{
      "journeys apply",
      "Store a definition as a new revision, if it says something new",
      {"campaignctl journeys apply welcome.yaml", "campaignctl journeys apply welcome.yaml --dry-run"}};
  apply_verb.arguments = {file};
  apply_verb.flags = asking();
  apply_verb.flags.insert(
      apply_verb.flags.end(),
      {kYes, {"dry-run", 0, "", "Show what would change, and store nothing"}, kNoHeaders});
  apply_verb.effect = Effect::changes;
  apply_verb.method = "cx.v1.Journeys.Put";
  apply_verb.details =
      "The journey is the one that `id` in the file names, or else the file's name. What runs is not "
      "changed: "
      "activate the revision to have customers start with it.";
  apply_verb.run = apply;
  return {std::move(validate_verb), std::move(apply_verb), simulate_command()};
}

}  // namespace cx::ctl
