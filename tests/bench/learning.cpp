// What the network learns of public tables beside logistic regression, on the same rows and inputs. Prints
// one JSON object a measurement, which tests/bench/bench makes a table of.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <fmt/core.h>
#include <numeric>
#include <optional>

#include "providers/inference/learning/calibration.hpp"
#include "providers/inference/learning/logistic.hpp"
#include "providers/inference/learning/metrics.hpp"
#include "providers/inference/learning/offers.hpp"
#include "providers/inference/learning/training.hpp"
#include "runtime/random.hpp"

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
  return measure_logits(line, parts, logits(columns.view(), parts.validation),
                        logits(columns.view(), parts.test));
}

/// Isotonic regression of labels on logits: the rates of runs of neighbours, pooled until they rise with the
/// logit (pool adjacent violators).
class Isotonic {
 public:
  Isotonic(std::span<const double> logits, std::span<const std::uint8_t> labels) {
    std::vector<std::size_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] < logits[b]; });
    for (const auto i : order) {
      pools_.push_back({logits[i], 1.0, static_cast<double>(labels[i])});
      while (pools_.size() > 1 && pools_[pools_.size() - 2].rate() >= pools_.back().rate()) {
        const auto last = pools_.back();
        pools_.pop_back();
        pools_.back() = {pools_.back().from, pools_.back().rows + last.rows,
                         pools_.back().positives + last.positives};
      }
    }
  }

  double operator()(double logit) const {
    const auto after = std::upper_bound(pools_.begin(), pools_.end(), logit,
                                        [](double z, const Pool& pool) { return z < pool.from; });
    return (after == pools_.begin() ? pools_.front() : *(after - 1)).rate();
  }

 private:
  struct Pool {
    double from, rows, positives;
    double rate() const { return positives / rows; }
  };
  std::vector<Pool> pools_;
};

/// The calibration error that forecasts have if they are exactly right, by chance: the mean of so many draws.
double floor_of(std::span<const double> p, std::uint64_t seed) {
  constexpr int kDraws = 100;
  Random random(seed);
  std::vector<std::uint8_t> labels(p.size());
  double sum = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    for (std::size_t i = 0; i < p.size(); ++i) labels[i] = random.uniform() < p[i] ? 1 : 0;
    sum += calibration_error(p, labels);
  }
  return sum / kDraws;
}

/// Forecasts of all rows, each by a network that has not seen it: the rows in five parts; for each, the
/// others are learnt from, but for 15 % that decide when to stop and calibrate.
std::optional<Error> cross_validated(const Options& options, const Table& table, std::uint64_t seed) {
  constexpr std::uint32_t kFolds = 5;
  std::vector<std::uint32_t> order(std::min(table.rows, options.rows));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (auto i = static_cast<std::uint32_t>(order.size()); i > 1; --i)
    std::swap(order[i - 1], order[random.below(i)]);
  std::vector<double> scaled, pooled;
  std::vector<std::uint8_t> labels;
  for (std::uint32_t fold = 0; fold < kFolds; ++fold) {
    std::vector<std::uint32_t> rest, test;
    for (std::size_t i = 0; i < order.size(); ++i) (i % kFolds == fold ? test : rest).push_back(order[i]);
    const auto cut = rest.size() * 85 / 100;
    const auto training_rows = std::span(rest).first(cut), validation_rows = std::span(rest).subspan(cut);
    const auto schema = Schema::learn(table, training_rows, options.target, "", {.drop = options.drop});
    if (!schema) return schema.error();
    const auto training = Examples::of(*schema, table, training_rows);
    const auto validation = Examples::of(*schema, table, validation_rows);
    const auto unseen = Examples::of(*schema, table, test);
    for (const auto* part : {&training, &validation, &unseen})
      if (!*part) return part->error();
    auto settings = options.training;
    settings.network.seed = seed * kFolds + fold;
    const auto columns = train(*training, *validation, settings).network.quantised();
    const auto by = logits(columns.view(), *validation);
    // A few rows (--smoke) do not calibrate: their forecasts stay as they are.
    const auto scaling = platt(by, validation->labels());
    const auto calibration = scaling ? *scaling : inference::colanet::Calibration();
    const Isotonic isotonic(by, validation->labels());
    for (const double z : logits(columns.view(), *unseen)) {
      scaled.push_back(calibration.probability(z));
      pooled.push_back(isotonic(z));
    }
    labels.insert(labels.end(), unseen->labels().begin(), unseen->labels().end());
  }
  for (const auto& [what, p] :
       {std::pair("5-fold, Platt", &scaled), std::pair("5-fold, isotonic", &pooled)}) {
    Line line(options, seed, what);
    add(line, measure(*p, labels), order.size() / kFolds * (kFolds - 1) * 85 / 100);
    line.set("ece_of_chance", floor_of(*p, seed));
  }
  return {};
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
    if (auto error = cross_validated(options, *table, seed)) return error;
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
