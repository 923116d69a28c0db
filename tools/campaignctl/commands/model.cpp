#include <atomic>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fmt/core.h>
#include <google/protobuf/util/time_util.h>

#include "providers/inference/colanet/writer.hpp"
#include "providers/inference/learning/calibration.hpp"
#include "providers/inference/learning/logistic.hpp"
#include "providers/inference/learning/metrics.hpp"
#include "providers/inference/learning/training.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/model_folder.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;
namespace colanet = inference::colanet;
namespace learning = inference::learning;

namespace {

std::atomic<bool> interrupted{false};

Failure failure_of(const Error& error) {
  return {error.code == Code::not_found ? Exit::not_found : Exit::rejected, error.type, error.detail, ""};
}

Outcome<std::string> needed(const Call& call, const std::string& flag) {
  if (!call.value(flag).empty()) return call.value(flag);
  return usage(fmt::format("{} needs --{}", call.command().path, flag));
}

json::value number(double x) {
  return std::isfinite(x) ? json::value(x) : json::value(nullptr);
}

std::string hex(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

json::object as_json(const learning::Measures& m) {
  return {{"rows", m.rows},
          {"positives", m.positives},
          {"auc", number(m.auc)},
          {"ece", number(m.calibration_error)},
          {"normalised_entropy", number(m.normalised_entropy)},
          {"ratio", number(m.ratio)},
          {"log_loss", number(m.log_loss)}};
}

std::vector<Column> measure_columns() {
  const auto digits = [](const json::value& value) {
    return value.is_number() ? fmt::format("{:.4f}", value.to_number<double>()) : std::string("-");
  };
  std::vector<Column> out{{"what"}, {"rows"}, {"positives"}};
  for (const auto* key : {"auc", "ece", "normalised_entropy", "ratio", "log_loss"}) {
    Column column{key};
    column.wide = column.key == "log_loss";
    column.show = digits;
    out.push_back(std::move(column));
  }
  return out;
}

Row measure_row(const std::string& what, const learning::Measures& measures) {
  auto values = as_json(measures);
  values["what"] = what;
  return {what, std::move(values)};
}

learning::Measures measured(const colanet::Calibration& calibration, std::vector<double> logits,
                            const learning::Examples& examples) {
  for (auto& z : logits) z = calibration.probability(z);
  return learning::measure(logits, examples.labels());
}

/// What keeps a model from being used, into the report.
void judge(Report& report, json::object& document, const learning::Measures& measures,
           const std::string& where) {
  const auto reasons = learning::refusals(measures);
  document["fit_for_use"] = reasons.empty();
  document["refused_because"] = json::array(reasons.begin(), reasons.end());
  for (const auto& reason : reasons)
    report.notes.push_back(fmt::format("not fit for use: {} ({})", reason, where));
  if (!reasons.empty()) report.exit = Exit::bad;
}

// train

/// Letters that a model's name may have, of the file's name.
std::string name_for(const std::string& path) {
  auto name = std::filesystem::path(path).stem().string().substr(0, colanet::kMaxName);
  for (auto& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') c = '-';
  return name;
}

std::vector<std::string> words_of(const Call& call, const std::string& flag) {
  std::vector<std::string> out;
  for (const auto& value : call.values(flag))
    for (std::size_t begin = 0; begin <= value.size();) {
      const auto end = std::min(value.find(',', begin), value.size());
      if (end > begin) out.push_back(value.substr(begin, end - begin));
      begin = end + 1;
    }
  return out;
}

Outcome<std::uint64_t> seed_of(const Call& call) {
  if (!call.has("seed")) return std::uint64_t{1};
  const auto text = call.value("seed");
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size())
    return usage(fmt::format("--seed {} is not a whole number", text));
  return seed;
}

/// One line an epoch, and an end when somebody interrupts.
std::function<bool(const learning::Epoch&)> teller(bool quiet) {
  return [quiet](const learning::Epoch& epoch) {
    if (!quiet)
      say(fmt::format("epoch {}: log loss {:.5f} on the validation rows{}", epoch.number, epoch.loss,
                      epoch.best ? "" : ", no better"));
    return !interrupted.load();
  };
}

struct Parts {
  learning::Schema schema;
  learning::Examples training, validation, test;
  std::uint64_t hash;
};

Outcome<Parts> parts_of(const Call& call, const std::string& data, const std::string& target,
                        std::uint64_t seed) {
  const auto table = learning::read_table(data);
  if (!table) return failure_of(table.error());
  const auto rows = learning::split(table->rows, seed);
  if (rows.validation.empty())
    return Failure{
        Exit::rejected, "too-few-rows",
        fmt::format("{} has {} rows, of which 15 % have to be left to measure by", data, table->rows), ""};
  auto schema = learning::Schema::learn(*table, rows.training, target, call.value("positive"),
                                        {.drop = words_of(call, "drop")});
  if (!schema) {
    auto failure = failure_of(schema.error());
    if (failure.type == "unclear-target") failure.detail += ": name it with --positive";
    return failure;
  }
  auto training = learning::Examples::of(*schema, *table, rows.training);
  auto validation = learning::Examples::of(*schema, *table, rows.validation);
  auto test = learning::Examples::of(*schema, *table, rows.test);
  for (const auto* part : {&training, &validation, &test})
    if (!*part) return failure_of(part->error());
  return Parts{std::move(*schema), std::move(*training), std::move(*validation), std::move(*test),
               table->hash};
}

/// Inputs of the first rows, by which whoever reads the model can see that it computes what was trained.
std::vector<std::vector<float>> examples_of(const learning::Examples& rows) {
  std::vector<std::vector<float>> out;
  for (std::size_t i = 0; i < std::min<std::size_t>(rows.size(), 16); ++i)
    rows.fill(i, out.emplace_back(rows.inputs()));
  return out;
}

Outcome<Report> train(const Call& call) {
  const auto data = needed(call, "data"), target = needed(call, "target");
  if (!data) return data.error();
  if (!target) return target.error();
  const auto seed = seed_of(call);
  if (!seed) return seed.error();
  const auto parts = parts_of(call, *data, *target, *seed);
  if (!parts) return parts.error();

  interrupted = false;
  const auto before = std::signal(SIGINT, [](int) {
    interrupted = true;
    std::signal(SIGINT, SIG_DFL);  // the second time ends it at once
  });
  learning::TrainingOptions options;
  options.network.seed = *seed;
  const auto trained =
      learning::train(parts->training, parts->validation, options, teller(call.has("quiet")));
  std::signal(SIGINT, before);
  if (interrupted) return Failure{Exit::interrupted, "interrupted", "nothing was written", ""};
  const auto columns = trained.network.quantised();
  const auto calibration =
      learning::platt(learning::logits(columns.view(), 0, parts->validation), parts->validation.labels());
  if (!calibration) return failure_of(calibration.error());
  const auto test = measured(*calibration, learning::logits(columns.view(), 0, parts->test), parts->test);
  const auto linear = learning::Logistic::fit(parts->training);
  const auto linear_calibration =
      learning::platt(linear.logits(parts->validation), parts->validation.labels());
  const auto beside = measured(linear_calibration ? *linear_calibration : colanet::Calibration(),
                               linear.logits(parts->test), parts->test);

  Report report;
  report.columns = measure_columns();
  report.rows = {measure_row("colanet", test), measure_row("logistic", beside)};
  json::object document{{"rows", json::object{{"training", parts->training.size()},
                                              {"validation", parts->validation.size()},
                                              {"test", parts->test.size()}}},
                        {"positive", parts->schema.positive()},
                        {"inputs", parts->schema.inputs()},
                        {"epochs", trained.epochs},
                        {"calibration", json::object{{"a", calibration->a}, {"b", calibration->b}}},
                        {"test", as_json(test)},
                        {"logistic", as_json(beside)}};
  judge(report, document, test, "on the test rows");
  const auto out = call.value("out");
  const bool write = !out.empty() && report.exit == Exit::done;
  if (write) {
    const auto schema = parts->schema.json();
    colanet::ModelParts model;
    model.info = {.name = name_for(out),
                  .schema_hash = parts->schema.hash(),
                  .data_hash = parts->hash,
                  .parent = 0,
                  .created_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                         std::chrono::system_clock::now().time_since_epoch())
                                         .count(),
                  .calibration = *calibration};
    model.schema = schema;
    model.columns = columns.view();
    model.examples = examples_of(parts->test);
    const auto hash = colanet::write_model(out, model);
    if (!hash) return failure_of(hash.error());
    document["model"] = json::object{{"file", out}, {"name", model.info.name}, {"hash", hex(*hash)}};
    report.notes.push_back(fmt::format("next: campaignctl model publish {} --to DIR", out));
  } else {
    document["model"] = nullptr;
    report.notes.push_back(out.empty() ? "nothing was written: give --out FILE to keep the model"
                                       : "nothing was written to " + out);
  }
  report.document = to_json(document, true);
  report.summary =
      fmt::format("{} rows to learn, {} to stop and calibrate by, {} to test; {} inputs; best epoch {}",
                  parts->training.size(), parts->validation.size(), parts->test.size(),
                  parts->schema.inputs(), trained.epochs);
  return report;
}

// evaluate

Outcome<Report> evaluate(const Call& call) {
  const auto file = needed(call, "model"), data = needed(call, "data");
  if (!file) return file.error();
  if (!data) return data.error();
  const auto model = colanet::Model::open(*file);
  if (!model) return failure_of(model.error());
  const auto schema = learning::Schema::parse(model->schema());
  if (!schema || schema->hash() != model->info().schema_hash || schema->inputs() != model->columns().inputs)
    return Failure{
        Exit::rejected, "model-without-schema",
        fmt::format("{} does not say how rows become its inputs{}; only models that campaignctl model "
                    "train wrote can be evaluated",
                    *file, schema ? "" : ": " + schema.error().detail),
        ""};
  const auto table = learning::read_table(*data);
  if (!table) return failure_of(table.error());
  std::vector<std::uint32_t> rows(table->rows);
  for (std::uint32_t i = 0; i < table->rows; ++i) rows[i] = i;
  const auto examples = learning::Examples::of(*schema, *table, rows);
  if (!examples) return failure_of(examples.error());
  const auto measures = measured(
      model->calibration(), learning::logits(model->columns(), colanet::Model::kPrior, *examples), *examples);
  Report report;
  report.columns = measure_columns();
  report.rows = {measure_row(model->label(), measures)};
  const bool seen = table->hash == model->info().data_hash;
  json::object document{
      {"model", model->label()}, {"measures", as_json(measures)}, {"trained_on_these", seen}};
  judge(report, document, measures, "on these rows");
  report.document = to_json(document, true);
  if (seen)
    report.notes.push_back(
        "the model was trained on most of these very rows: they flatter it, campaignctl model train says "
        "what it does "
        "on the others");
  return report;
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
  using google::protobuf::util::TimeUtil;
  Report report;
  report.columns = {{"file"}, {"name"}, {"published_at"}, {"state"}};
  json::array documents;
  for (const auto& model : *models) {
    json::object one{
        {"file", model.file},
        {"name", model.name},
        {"published_at", TimeUtil::ToString(TimeUtil::MillisecondsToTimestamp(model.published_ms))},
        {"state", model.current   ? "in use"
                  : model.earlier ? "earlier"
                                  : "taken back"}};
    report.rows.push_back({model.file, one});
    documents.push_back(std::move(one));
  }
  report.document = to_json(json::object{{"models", std::move(documents)}}, true);
  return report;
}

}  // namespace

std::vector<Command> model_commands() {
  const Flag data{"data", 0, "FILE", "The table: CSV, gzip or not; - reads stdin", {}, Offer::files, true};
  const Flag to{"to", 0, "DIR", "Folder of the models that nodes are served from", {}, Offer::files, true};

  Command train_verb{
      "model train",
      "Train a model on a table of what was shown and what came of it",
      {"campaignctl model train --data shown.csv --target clicked",
       "campaignctl model train --data bank.csv.gz --target y --drop duration --out bank.model"}};
  train_verb.details =
      "The first line of the table names its columns. Numbers and categories, missing values, too, become "
      "inputs "
      "of the network by a schema that is learnt from 70 % of the rows and kept in the model. 15 % decide "
      "when to "
      "stop and calibrate, and the last 15 % measure. A model that forecasts no better than the mean, or "
      "promises "
      "over 10 % too much or too little, is not written, and the command exits with 10. Nothing leaves this "
      "machine.";
  train_verb.flags = {
      data,
      {"target", 0, "COLUMN", "What to forecast", {}, Offer::nothing, true},
      {"positive", 0, "VALUE", "The target's value that counts as success, unless one says yes"},
      {"drop", 0, "COLUMNS", "Columns to leave out, with commas between"},
      {"seed", 0, "N", "Of the split and of the network; 1 by default"},
      {"out", 0, "FILE", "Where to write the model", {}, Offer::files},
      kNoHeaders};
  train_verb.run = train;

  Command evaluate_verb{"model evaluate",
                        "Measure a model on a table that it has not seen",
                        {"campaignctl model evaluate --model bank.model --data june.csv.gz",
                         "campaignctl model evaluate --model models/current --data june.csv -o json"}};
  evaluate_verb.details = "Exits with 10 where the model is not fit for use on these rows.";
  evaluate_verb.flags = {{"model", 0, "FILE", "The model", {}, Offer::files, true}, data, kNoHeaders};
  evaluate_verb.run = evaluate;

  Command publish_verb{"model publish",
                       "Check a model and put it in use",
                       {"campaignctl model publish bank.model --to models",
                        "campaignctl model publish bank.model --to /srv/campaign/models -q"}};
  publish_verb.arguments = {{"FILE", "The model", {}, Offer::files}};
  publish_verb.flags = {to, kNoHeaders};
  publish_verb.details =
      "The model is copied into the folder under its hash, the copy is read back, and the link `current` is "
      "put "
      "on it in one step. Nodes that follow the link check the model again before they use it.";
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
  return {Command{"model", "Models that score offers: train, measure, publish", {}},
          std::move(train_verb),
          std::move(evaluate_verb),
          std::move(publish_verb),
          std::move(rollback_verb),
          std::move(list_verb)};
}

}  // namespace cx::ctl
