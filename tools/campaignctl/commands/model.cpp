#include <filesystem>
#include <fmt/core.h>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/model_folder.hpp"
#include "tools/campaignctl/commands/model_parts.hpp"
#include "tools/campaignctl/commands/model_verbs.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;
namespace colanet = inference::colanet;

namespace {

/// What a model says of itself.
json::object about(const colanet::Model& model) {
  const auto& info = model.info();
  return {{"name", info.name},
          {"hash", hex(model.hash())},
          {"reads", schema_in_words(model)},
          {"inputs", model.columns().inputs},
          {"columns", model.columns().count},
          {"schema_hash", hex(info.schema_hash)},
          {"data_hash", hex(info.data_hash)},
          {"parent", info.parent == 0 ? json::value(nullptr) : json::value(hex(info.parent))},
          {"created_at", time_text(info.created_unix_ms)}};
}

/// What of it a table has, behind columns of the command's own.
std::vector<Column> columns_with(const std::vector<std::string>& first) {
  std::vector<Column> out;
  const auto add = [&out](const std::string& key, bool wide) {
    Column column{key};
    column.wide = wide;
    out.push_back(std::move(column));
  };
  for (const auto& key : first) add(key, false);
  for (const auto* key : {"reads", "inputs", "columns", "created_at"}) add(key, false);
  for (const auto* key : {"schema_hash", "data_hash", "parent"}) add(key, true);
  return out;
}

// The folder of published models

Report changed(const ModelChange& change, const std::string& folder) {
  Report report;
  report.columns = {{"model"}, {"file"}, {"before"}};
  json::object values{{"model", change.label}, {"file", change.after}, {"before", change.before}};
  report.document = to_json(values, true);
  report.rows = {{change.label, std::move(values)}};
  report.notes = {
      change.before == change.after
          ? fmt::format("{} is in use already: nothing was changed", change.label)
          : fmt::format("nodes whose inference.model is {}/current take it within seconds", folder)};
  return report;
}

Outcome<Report> publish(const Call& call) {
  const auto folder = needed(call, "to");
  if (!folder) return folder.error();
  const auto change = publish_model(call.value("FILE"), *folder);
  if (!change) return change.error();
  return changed(*change, *folder);
}

Outcome<Report> rollback(const Call& call) {
  const auto folder = needed(call, "to");
  if (!folder) return folder.error();
  const auto change = roll_model_back(*folder);
  if (!change) return change.error();
  return changed(*change, *folder);
}

Outcome<Report> list(const Call& call) {
  const auto folder = needed(call, "in");
  if (!folder) return folder.error();
  const auto models = published_models(*folder);
  if (!models) return models.error();
  Report report;
  report.columns = columns_with({"file", "name", "published_at", "state"});
  json::array documents;
  for (const auto& model : *models) {
    json::object one{{"file", model.file},
                     {"name", model.name},
                     {"published_at", time_text(model.published_ms)},
                     {"state", model.current   ? "in use"
                               : model.earlier ? "earlier"
                                               : "taken back"}};
    const auto file = std::filesystem::path(*folder) / model.file;
    if (const auto opened = colanet::Model::open(file); opened)
      for (const auto& field : about(*opened)) one[field.key()] = field.value();
    else
      report.notes.push_back(opened.error().detail);
    report.rows.push_back({model.file, one});
    documents.push_back(std::move(one));
  }
  report.document = to_json(json::object{{"models", std::move(documents)}}, true);
  return report;
}

Outcome<Report> show(const Call& call) {
  const auto model = colanet::Model::open(call.value("FILE"));
  if (!model) return failure_of(model.error());
  auto document = about(*model);
  const auto& calibration = model->calibration();
  document["calibration"] =
      json::object{{"a", calibration.a}, {"b", calibration.b}, {"sampling", calibration.sampling}};
  json::array offers;
  for (std::uint32_t i = 0; i < model->offers(); ++i)
    offers.push_back(
        json::object{{"id", std::string(model->offer(i).id)}, {"column", model->offer(i).column}});
  document["offers"] = std::move(offers);
  Report report;
  report.columns = columns_with(std::vector<std::string>{"name"});
  report.rows = {{model->label(), document}};
  report.document = to_json(document, true);
  return report;
}

}  // namespace

std::vector<Command> model_commands() {
  const Flag to{"to", 0, "DIR", "Folder of the models that nodes are served from", {}, Offer::files, true};

  Command publish_verb{"model publish",
                       "Check a model and put it in use",
                       {"campaignctl model publish spring.model --to models",
                        "campaignctl model publish spring.model --to /srv/campaign/models -q"}};
  publish_verb.arguments = {{"FILE", "The model", {}, Offer::files}};
  publish_verb.flags = {to, kNoHeaders};
  publish_verb.details =
      "The model is copied into the folder under its hash, the copy is read back, and the link `current` is "
      "put on it in one step. Nodes that follow the link check the model again before they use it. Only "
      "models "
      "for bids (model train --decisions) are taken.";
  publish_verb.effect = Effect::changes;
  publish_verb.run = publish;

  Command rollback_verb{"model rollback",
                        "Put the model back in use that was before",
                        {"campaignctl model rollback --to models",
                         "campaignctl model rollback --to /srv/campaign/models -o json"}};
  rollback_verb.flags = {to, kNoHeaders};
  rollback_verb.effect = Effect::changes;
  rollback_verb.run = rollback;

  Command list_verb{"model list",
                    "Models that were published to a folder, latest first",
                    {"campaignctl model list --in models", "campaignctl model list --in models -o name"}};
  list_verb.flags = {{"in", 0, "DIR", "The folder", {}, Offer::files, true}, kNoHeaders};
  list_verb.run = list;
  Command show_verb{"model show",
                    "What a model says of itself: its inputs, columns, offers, and what it comes from",
                    {"campaignctl model show spring.model", "campaignctl model show models/current -o json"}};
  show_verb.arguments = {{"FILE", "The model", {}, Offer::files}};
  show_verb.flags = {kNoHeaders};
  show_verb.run = show;

  std::vector<Command> out{Command{"model", "Models that score offers: train, measure, publish", {}}};
  for (auto& verb : model_learning_commands()) out.push_back(std::move(verb));
  for (auto* verb : {&publish_verb, &rollback_verb, &list_verb, &show_verb}) out.push_back(std::move(*verb));
  out.push_back(model_export_command());
  return out;
}

}  // namespace cx::ctl
