#include <atomic>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fmt/core.h>
#include <unordered_map>

#include "providers/inference/colanet/bid_schema.hpp"
#include "providers/inference/colanet/writer.hpp"
#include "providers/inference/learning/calibration.hpp"
#include "providers/inference/learning/logistic.hpp"
#include "providers/inference/learning/metrics.hpp"
#include "providers/inference/learning/offers.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/model_decisions.hpp"
#include "tools/campaignctl/commands/model_parts.hpp"
#include "tools/campaignctl/commands/model_verbs.hpp"
#include "tools/campaignctl/commands/progress.hpp"
#include "tools/campaignctl/io.hpp"

namespace cx::ctl {
namespace json = boost::json;
namespace colanet = inference::colanet;
namespace learning = inference::learning;

namespace {

std::atomic<bool> interrupted{false};

json::value number(double x) {
  return std::isfinite(x) ? json::value(x) : json::value(nullptr);
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

/// What something else than the model comes to, calibrated by the same rows.
learning::Measures measured_beside(const std::vector<double>& validation, std::vector<double> test,
                                   const ModelData& data) {
  const auto calibration = learning::platt(validation, data.validation.labels());
  return measured(calibration ? *calibration : colanet::Calibration(), std::move(test), data.test);
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

template <class Number>
Outcome<Number> number_of(const Call& call, const std::string& flag, Number otherwise, const char* what) {
  if (!call.has(flag)) return otherwise;
  const auto text = call.value(flag);
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size())
    return usage(fmt::format("--{} {} is not {}", flag, text, what));
  return out;
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

/// Now and then a line about the offers.
std::function<bool(const learning::OfferTrained&)> offer_teller(bool quiet, std::size_t offers) {
  return [progress = Progress(quiet), offers, tried = std::size_t{0},
          kept = std::size_t{0}](const learning::OfferTrained& offer) mutable {
    ++tried;
    kept += offer.kept ? 1 : 0;
    progress.tell([&] {
      return fmt::format("{} of at most {} offers tried, {} keep a column of their own", tried, offers, kept);
    });
    return !interrupted.load();
  };
}

/// Inputs of the first rows, by which whoever reads the model can see that it computes what was trained.
std::vector<std::vector<float>> examples_of(const learning::Examples& rows) {
  std::vector<std::vector<float>> out;
  for (std::size_t i = 0; i < std::min<std::size_t>(rows.size(), 16); ++i)
    rows.fill(i, out.emplace_back(rows.inputs()));
  return out;
}

struct Network {
  learning::OfferColumns columns;
  std::uint32_t epochs;
};

/// The prior, and then the offers' own columns; nothing when somebody interrupts.
std::optional<Network> learn(const Call& call, const ModelData& data, double keep, std::uint64_t seed,
                             const colanet::Columns* parent) {
  interrupted = false;
  const auto before = std::signal(SIGINT, [](int) {
    interrupted = true;
    std::signal(SIGINT, SIG_DFL);  // the second time ends it at once
  });
  learning::TrainingOptions options;
  options.network.seed = seed;
  options.sampling = keep;
  options.parent = parent;
  std::optional<learning::Examples> some;
  if (keep < 1) some = data.training.sample(keep, seed);
  const auto& training = some ? *some : data.training;
  const bool quiet = call.has("quiet");
  const auto prior = learning::train(training, data.validation, options, teller(quiet));
  std::optional<Network> out;
  if (!interrupted)
    out.emplace(Network{learning::train_offers(prior.network, training, data.validation, options,
                                               offer_teller(quiet, training.offer_ids().size())),
                        prior.epochs});
  std::signal(SIGINT, before);
  if (interrupted) out.reset();
  return out;
}

/// The model of --parent, if there is one.
Outcome<std::optional<colanet::Model>> parent_of(const Call& call) {
  if (!call.has("parent") || !call.has("decisions")) return std::nullopt;  // without, it is refused below
  auto model = colanet::Model::open(call.value("parent"));
  if (!model) return failure_of(model.error());
  if (const auto problem = colanet::problem_of_bids(*model))
    return Failure{Exit::rejected, "model-without-schema",
                   fmt::format("{} cannot be gone on from: {}", call.value("parent"), *problem), ""};
  return std::optional(std::move(*model));
}

Outcome<Report> train(const Call& call) {
  const auto seed = number_of<std::uint64_t>(call, "seed", 1, "a whole number");
  if (!seed) return seed.error();
  const auto keep = number_of<double>(call, "keep-negatives", 1, "a number");
  if (!keep) return keep.error();
  if (!(*keep > 0 && *keep <= 1))
    return usage(fmt::format("--keep-negatives {} is not above 0 and at most 1", *keep));
  const auto parent = parent_of(call);
  if (!parent) return parent.error();
  const auto* before = *parent ? &(*parent)->columns() : nullptr;
  const auto data = data_to_train(call, *seed, before == nullptr ? 0 : before->inputs);
  if (!data) return data.error();
  const auto network = learn(call, *data, *keep, *seed, before);
  if (!network) return Failure{Exit::interrupted, "interrupted", "nothing was written", ""};

  const auto& [columns, ids, tried, offers] = network->columns;
  const auto view = columns.view();
  const std::unordered_map<std::string_view, std::uint32_t> own(ids.begin(), ids.end());
  const auto column_of = [&own](std::string_view id) -> std::optional<std::uint32_t> {
    const auto found = own.find(id);
    return found == own.end() ? std::nullopt : std::optional(found->second);
  };
  // All parts number the offers alike.
  const auto column_of_offer = learning::columns_of(data->training, column_of);
  auto calibration =
      learning::platt(learning::logits(view, column_of_offer, data->validation), data->validation.labels());
  if (!calibration) return failure_of(calibration.error());
  *calibration = learning::sampled(*calibration, *keep);
  const auto test = measured(*calibration, learning::logits(view, column_of_offer, data->test), data->test);
  const auto prior =
      measured_beside(learning::logits(view, data->validation), learning::logits(view, data->test), *data);
  const auto linear = learning::Logistic::fit(data->training);
  const auto beside = measured_beside(linear.logits(data->validation), linear.logits(data->test), *data);

  Report report;
  report.columns = measure_columns();
  report.rows = {measure_row("colanet", test)};
  if (offers > 0) report.rows.push_back(measure_row("prior alone", prior));
  std::optional<learning::Measures> parents;
  if (before != nullptr && before->inputs == view.inputs) {
    const auto columns_then =
        learning::columns_of(data->test, [&](std::string_view id) { return (*parent)->column_of(id); });
    parents =
        measured((*parent)->calibration(), learning::logits(*before, columns_then, data->test), data->test);
    report.rows.push_back(measure_row("parent", *parents));
  }
  report.rows.push_back(measure_row("logistic", beside));
  json::object document{
      {"rows", json::object{{"training", data->training.size()},
                            {"validation", data->validation.size()},
                            {"test", data->test.size()}}},
      {"positive", data->positive},
      {"inputs", view.inputs},
      {"epochs", network->epochs},
      {"calibration",
       json::object{{"a", calibration->a}, {"b", calibration->b}, {"sampling", calibration->sampling}}},
      {"offers", json::object{{"all", offers}, {"tried", tried}, {"kept", ids.size()}}},
      {"test", as_json(test)},
      {"prior_alone", as_json(prior)},
      {"logistic", as_json(beside)}};
  if (parents) document["parent"] = as_json(*parents);
  if (!data->spans.empty()) {
    auto& times = document["times"].emplace_object();
    for (const auto& span : data->spans) times[span.name] = span.values;
  }
  if (!data->told.empty()) report.notes.push_back(data->told);
  judge(report, document, test, data->spans.empty() ? "on the test rows" : "on the newest decisions");
  const auto out = call.value("out");
  const bool write = !out.empty() && report.exit == Exit::done;
  if (write) {
    colanet::ModelParts model;
    model.info = {.name = name_for(out),
                  .schema_hash = colanet::schema_hash(data->schema),
                  .data_hash = data->hash,
                  .parent = *parent ? (*parent)->hash() : 0,
                  .created_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                         std::chrono::system_clock::now().time_since_epoch())
                                         .count(),
                  .calibration = *calibration};
    model.schema = data->schema;
    model.columns = view;
    model.offers = ids;
    model.examples = examples_of(data->test);
    const auto hash = colanet::write_model(out, model);
    if (!hash) return failure_of(hash.error());
    document["model"] = json::object{{"file", out}, {"name", model.info.name}, {"hash", hex(*hash)}};
    report.notes.push_back(call.has("decisions")
                               ? fmt::format("next: campaignctl model publish {} --to DIR", out)
                               : fmt::format("next: campaignctl model evaluate --model {} --data FILE; nodes "
                                             "take models of decisions only",
                                             out));
  } else {
    document["model"] = nullptr;
    report.notes.push_back(out.empty() ? "nothing was written: give --out FILE to keep the model"
                                       : "nothing was written to " + out);
  }
  report.document = to_json(document, true);
  report.summary = fmt::format(
      "{} rows to learn, {} to stop and calibrate by, {} to test; {} inputs; best epoch {}",
      data->training.size(), data->validation.size(), data->test.size(), view.inputs, network->epochs);
  if (offers > 0)
    report.summary +=
        fmt::format("; of {} offers {} had enough rows for a column of their own, and {} keep it", offers,
                    tried, ids.size());
  return report;
}

// evaluate

Outcome<Report> evaluate(const Call& call) {
  const auto file = needed(call, "model");
  if (!file) return file.error();
  const auto model = colanet::Model::open(*file);
  if (!model) return failure_of(model.error());
  const auto data = data_to_measure(call, *model, *file);
  if (!data) return data.error();
  const auto columns =
      learning::columns_of(data->rows, [&](std::string_view id) { return model->column_of(id); });
  const auto measures =
      measured(model->calibration(), learning::logits(model->columns(), columns, data->rows), data->rows);
  Report report;
  report.columns = measure_columns();
  report.rows = {measure_row(model->label(), measures)};
  const bool seen = data->hash == model->info().data_hash;
  json::object document{
      {"model", model->label()}, {"measures", as_json(measures)}, {"trained_on_these", seen}};
  judge(report, document, measures, "on these rows");
  report.document = to_json(document, true);
  if (!data->told.empty()) report.notes.push_back(data->told);
  if (seen)
    report.notes.push_back(
        "the model was trained on most of these very rows: they flatter it, campaignctl model train says "
        "what it does on the others");
  else if (data->first_ms < model->info().created_unix_ms)
    report.notes.push_back(
        "some of these decisions are older than the model, which may have learnt from them: --since the time "
        "when it was trained leaves them out");
  return report;
}

}  // namespace

std::vector<Command> model_learning_commands() {
  const Flag data{"data", 0, "FILE", "A table: CSV, gzip or not; - reads stdin", {}, Offer::files};
  const auto decisions = decision_flags();

  Command train_verb{
      "model train",
      "Train a model on decisions, for bids, or on any table of what was shown and what came of it",
      {"campaignctl model train --decisions --since 30d --out spring.model",
       "campaignctl model train --data bank.csv.gz --target y --drop duration --out bank.model"}};
  train_verb.details =
      "--decisions trains a model that nodes can score bids with: on decisions that were shown, the oldest "
      "70 % "
      "to learn from, the next 15 % to stop and calibrate by, and the newest 15 % to measure. --data trains "
      "on a "
      "table whose first line names its columns, split at random; such a model can be measured, not served. "
      "Offers with enough rows get a column of their own where that forecasts them better. A model that "
      "forecasts no better than the mean, or promises over 10 % too much or too little, is not written, and "
      "the "
      "command exits with 10. Only --decisions without a file asks a server, and reads there.";
  train_verb.flags = {
      data,
      {"target", 0, "COLUMN", "With --data: what to forecast"},
      {"positive", 0, "VALUE", "With --data: the target's value that counts as success, unless one says yes"},
      {"drop", 0, "COLUMNS", "With --data: columns to leave out, with commas between"},
      {"offer", 0, "COLUMN", "With --data: the column that names the offer; offers get columns of their own"},
      {"keep-negatives", 0, "SHARE", "Learn from so many of the rows without success, as 0.1; 1 by default"},
      {"parent", 0, "FILE", "With --decisions: a model to go on from, where there are few", {}, Offer::files},
      {"seed", 0, "N", "Of what is drawn; 1 by default"},
      {"out", 0, "FILE", "Where to write the model", {}, Offer::files},
      kNoHeaders};
  train_verb.flags.insert(train_verb.flags.begin(), decisions.begin(), decisions.end());
  train_verb.flags.insert(train_verb.flags.end(), asking().begin(), asking().end());
  train_verb.effect = Effect::configures;
  train_verb.method = "cx.v1.Decisions.List";
  train_verb.run = train;

  Command evaluate_verb{"model evaluate",
                        "Measure a model on decisions or a table that it has not seen",
                        {"campaignctl model evaluate --model spring.model --decisions --since 7d",
                         "campaignctl model evaluate --model bank.model --data june.csv -o json"}};
  evaluate_verb.details =
      "A model for bids is measured by --decisions, one of a table by --data. Exits with 10 where the model "
      "is "
      "not fit for use on these rows.";
  evaluate_verb.flags = {{"model", 0, "FILE", "The model", {}, Offer::files, true}, data, kNoHeaders};
  evaluate_verb.flags.insert(evaluate_verb.flags.end(), decisions.begin(), decisions.end());
  evaluate_verb.flags.insert(evaluate_verb.flags.end(), asking().begin(), asking().end());
  evaluate_verb.method = "cx.v1.Decisions.List";
  evaluate_verb.run = evaluate;
  return {std::move(train_verb), std::move(evaluate_verb)};
}

}  // namespace cx::ctl
