// What the network learns of public tables beside logistic regression, on the same rows and inputs. Prints
// one JSON object a measurement, which tests/bench/bench makes a table of.

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <fmt/core.h>
#include <optional>

#include "providers/inference/learning/calibration.hpp"
#include "providers/inference/learning/logistic.hpp"
#include "providers/inference/learning/metrics.hpp"
#include "providers/inference/learning/training.hpp"

namespace cx::bench {
namespace {

using namespace inference::learning;

struct Options {
  std::string table, target;
  std::vector<std::string> drop;
  std::uint32_t seeds = 3;
  std::uint32_t rows = UINT32_MAX;  // at most so many of the training rows
  TrainingOptions training;
};

/// One measurement as a line.
class Line {
 public:
  Line(const Options& options, std::uint64_t seed, std::string_view what) {
    object_["table"] = options.table.substr(options.table.rfind('/') + 1);
    object_["seed"] = seed;
    object_["what"] = what;
  }
  Line& set(std::string_view name, boost::json::value value) {
    object_[name] = std::move(value);
    return *this;
  }
  ~Line() {
    std::puts(boost::json::serialize(object_).c_str());
    std::fflush(stdout);
  }

 private:
  boost::json::object object_;
};

/// The rows of one split, as inputs that were learnt from its training rows.
struct Parts {
  Schema schema;
  Examples training, validation, test;
};

Result<Parts> parts_of(const Options& options, const Table& table, std::uint64_t seed,
                       std::uint32_t fraction) {
  const auto rows = split(table.rows, seed);
  const auto few = std::min<std::size_t>(rows.training.size(), options.rows) / fraction;
  const auto training_rows = std::span(rows.training).first(few);
  auto schema = Schema::learn(table, training_rows, options.target, "", {.drop = options.drop});
  if (!schema) return schema.error();
  auto training = Examples::of(*schema, table, training_rows);
  auto validation = Examples::of(*schema, table, rows.validation);
  auto test = Examples::of(*schema, table, rows.test);
  for (const auto* part : {&training, &validation, &test})
    if (!*part) return part->error();
  return Parts{std::move(*schema), std::move(*training), std::move(*validation), std::move(*test)};
}

void add(Line& line, const Measures& m, std::uint64_t training_rows) {
  line.set("rows", training_rows).set("test_rows", m.rows).set("auc", m.auc).set("ece", m.calibration_error);
  line.set("ne", m.normalised_entropy).set("ratio", m.ratio);
}

/// Calibrates by the validation rows and measures by the test rows.
std::optional<Error> measure_logits(Line& line, const Parts& parts, std::span<const double> validation,
                                    std::span<const double> test) {
  const auto calibration = platt(validation, parts.validation.labels());
  if (!calibration) return calibration.error();
  std::vector<double> p;
  for (const double z : test) p.push_back(calibration->probability(z));
  add(line, measure(p, parts.test.labels()), parts.training.size());
  return {};
}

std::optional<Error> logistic(const Options& options, const Parts& parts, std::uint64_t seed,
                              std::string_view what) {
  Line line(options, seed, what);
  const auto model = Logistic::fit(parts.training);
  return measure_logits(line, parts, model.logits(parts.validation), model.logits(parts.test));
}

std::optional<Error> network(const Options& options, const Parts& parts, std::uint64_t seed,
                             std::string_view what, std::uint32_t micro, std::uint32_t ticks) {
  Line line(options, seed, what);
  auto settings = options.training;
  settings.network.seed = seed;
  settings.network.micro = micro;
  settings.network.ticks = ticks;
  const auto began = std::chrono::steady_clock::now();
  const auto trained = train(parts.training, parts.validation, settings);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  line.set("inputs", parts.schema.inputs()).set("epochs", trained.epochs).set("seconds", took.count());
  if (ticks != inference::colanet::kTicks)  // not what inference runs
    return measure_logits(line, parts, logits(trained.network, parts.validation),
                          logits(trained.network, parts.test));
  const auto columns = trained.network.quantised();
  return measure_logits(line, parts, logits(columns.view(), 0, parts.validation),
                        logits(columns.view(), 0, parts.test));
}

std::optional<Error> run(const Options& options) {
  const auto table = read_table(options.table);
  if (!table) return table.error();
  for (std::uint64_t seed = 1; seed <= options.seeds; ++seed) {
    for (const std::uint32_t fraction : {1, 2, 4, 8}) {
      const auto parts = parts_of(options, *table, seed, fraction);
      if (!parts) return parts.error();
      const auto suffix = fraction == 1 ? std::string() : fmt::format(" 1/{}", fraction);
      if (auto error = logistic(options, *parts, seed, "logistic" + suffix)) return error;
      if (auto error = network(options, *parts, seed, "colanet" + suffix, 16, 8)) return error;
      if (fraction != 1) continue;
      if (auto error = network(options, *parts, seed, "M=1", 1, 8)) return error;
      if (auto error = network(options, *parts, seed, "T=1", 16, 1)) return error;
    }
  }
  return {};
}

}  // namespace
}  // namespace cx::bench

int main(int argc, char** argv) {
  cx::bench::Options options;
  CLI::App app("Trains networks on a table and measures them on rows that they have not seen");
  app.add_option("--table", options.table, "CSV, packed or not")->required();
  app.add_option("--target", options.target, "Column to forecast")->required();
  app.add_option("--drop", options.drop, "Columns to leave out");
  app.add_option("--seeds", options.seeds, "How many splits");
  app.add_option("--rows", options.rows, "At most so many training rows");
  app.add_option("--epochs", options.training.epochs, "At most");
  app.add_option("--patience", options.training.patience, "Epochs without a better loss");
  app.add_option("--rate", options.training.network.rate, "Largest step of a weight, in thresholds");
  app.add_option("--inhibition", options.training.network.inhibition, "In thresholds");
  CLI11_PARSE(app, argc, argv);
  if (const auto error = cx::bench::run(options)) {
    fmt::print(stderr, "cx-bench-learning: {}\n", error->detail);
    return 1;
  }
}
