#include "tools/campaignctl/commands/model_parts.hpp"

#include <fmt/core.h>
#include <google/protobuf/util/time_util.h>
#include <numeric>

#include "providers/inference/colanet/bid_schema.hpp"
#include "providers/inference/learning/schema.hpp"
#include "tools/campaignctl/commands/model_decisions.hpp"

namespace cx::ctl {
namespace colanet = inference::colanet;
namespace learning = inference::learning;

namespace {

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

Failure too_few(std::string detail) {
  return {Exit::rejected, "too-few-rows", std::move(detail), ""};
}

/// Flags of the other kind of data, which would be passed over in silence.
Outcome<void> refuse_flags(const Call& call, std::initializer_list<const char*> flags, const char* with) {
  for (const auto* flag : flags)
    if (call.has(flag)) return usage(fmt::format("--{} goes with {} only", flag, with));
  return {};
}

Outcome<ModelData> table_to_train(const Call& call, std::uint64_t seed) {
  const auto data = needed(call, "data"), target = needed(call, "target");
  if (!data) return data.error();
  if (!target) return target.error();
  if (const auto fine = refuse_flags(call, {"outcome", "window", "since", "parent"}, "--decisions"); !fine)
    return fine.error();
  const auto table = learning::read_table(*data);
  if (!table) return failure_of(table.error());
  const auto rows = learning::split(table->rows, seed);
  if (rows.validation.empty())
    return too_few(
        fmt::format("{} has {} rows, of which 15 % have to be left to measure by", *data, table->rows));
  const auto schema = learning::Schema::learn(*table, rows.training, *target, call.value("positive"),
                                              {.drop = words_of(call, "drop"), .offer = call.value("offer")});
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
  return ModelData{std::move(*training), std::move(*validation), std::move(*test), schema->json(),
                   table->hash,          schema->positive()};
}

Outcome<ModelData> decisions_to_train(const Call& call, std::uint32_t least) {
  if (const auto fine = refuse_flags(call, {"data", "target", "positive", "drop", "offer"}, "a table"); !fine)
    return fine.error();
  const auto gathered = gather_decisions(call);
  if (!gathered) return gathered.error();
  const auto& decisions = gathered->decisions;
  const auto [first, second] = learning::cuts(decisions.size());
  const auto inputs = std::max(least, decisions.inputs(first));
  ModelData out{decisions.examples(0, first, inputs),
                decisions.examples(first, second, inputs),
                decisions.examples(second, decisions.size(), inputs),
                colanet::bid_schema(inputs),
                decisions.hash(),
                gathered->question,
                gathered->told};
  const auto learnt = out.training.size(), clicked = out.training.positives();
  if (out.validation.size() == 0 || clicked == 0 || clicked == learnt)
    return too_few(
        fmt::format("{}. Of the {} oldest, to learn from, {} had a {}: both kinds are needed, and "
                    "some more to measure by",
                    out.told, learnt, clicked, out.positive));
  const auto span = [&](const char* part, std::size_t begin, std::size_t end) {
    out.spans.push_back(
        {part, {{"from", time_text(decisions.at(begin))}, {"to", time_text(decisions.at(end - 1))}}});
  };
  span("training", 0, first);
  span("validation", first, second);
  span("test", second, decisions.size());
  return out;
}

Failure other_model(const std::string& file, const std::string& why) {
  return {Exit::rejected, "model-without-schema", fmt::format("{} cannot be measured so: {}", file, why), ""};
}

}  // namespace

Outcome<ModelData> data_to_train(const Call& call, std::uint64_t seed, std::uint32_t least) {
  return call.has("decisions") ? decisions_to_train(call, least) : table_to_train(call, seed);
}

Outcome<MeasureData> data_to_measure(const Call& call, const colanet::Model& model, const std::string& file) {
  const bool bids = !colanet::problem_of_bids(model);
  if (call.has("decisions")) {
    if (call.has("data")) return usage("--data and --decisions are two things to measure by: give one");
    if (!bids)
      return other_model(file, "it was trained on a table, and --decisions measures models for bids");
    const auto gathered = gather_decisions(call);
    if (!gathered) return gathered.error();
    const auto& decisions = gathered->decisions;
    return MeasureData{decisions.examples(0, decisions.size(), model.columns().inputs), decisions.hash(),
                       gathered->told, decisions.at(0)};
  }
  const auto data = needed(call, "data");
  if (!data) return data.error();
  if (const auto fine = refuse_flags(call, {"outcome", "window", "since"}, "--decisions"); !fine)
    return fine.error();
  if (bids) return other_model(file, "it is a model for bids, which --decisions measures");
  const auto schema = learning::Schema::parse(model.schema());
  if (!schema || schema->hash() != model.info().schema_hash || schema->inputs() != model.columns().inputs)
    return other_model(file, fmt::format("it does not say how rows become its inputs{}; only models that "
                                         "campaignctl model train wrote can be evaluated",
                                         schema ? "" : " (" + schema.error().detail + ")"));
  const auto table = learning::read_table(*data);
  if (!table) return failure_of(table.error());
  std::vector<std::uint32_t> rows(table->rows);
  std::iota(rows.begin(), rows.end(), 0);
  auto examples = learning::Examples::of(*schema, *table, rows);
  if (!examples) return failure_of(examples.error());
  return MeasureData{std::move(*examples), table->hash};
}

std::string schema_in_words(const colanet::Model& model) {
  if (!colanet::problem_of_bids(model)) return fmt::format("bid, first {} features", model.columns().inputs);
  const auto schema = learning::Schema::parse(model.schema());
  if (!schema) return "unknown";
  return fmt::format("table, {} = {} by {} columns{}", schema->target(), schema->positive(),
                     schema->fields().size(),
                     schema->offer().empty() ? "" : ", offers in " + schema->offer());
}

Failure failure_of(const Error& error) {
  return {error.code == Code::not_found ? Exit::not_found : Exit::rejected, error.type, error.detail, ""};
}

Outcome<std::string> needed(const Call& call, const std::string& flag) {
  if (!call.value(flag).empty()) return call.value(flag);
  return usage(fmt::format("{} needs --{}", call.command().path, flag));
}

std::string time_text(std::int64_t ms) {
  using google::protobuf::util::TimeUtil;
  return TimeUtil::ToString(TimeUtil::MillisecondsToTimestamp(ms));
}

std::string hex(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

}  // namespace cx::ctl
