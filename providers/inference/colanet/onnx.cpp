#include "providers/inference/colanet/onnx.hpp"

#include <boost/json/serialize.hpp>
#include <cmath>
#include <fmt/format.h>
#include <initializer_list>

#include "providers/inference/colanet/onnx.pb.h"

namespace cx::inference::colanet {
namespace {

using onnx::TensorProto;
using Names = std::initializer_list<std::string>;

constexpr std::int64_t kOpset = 13, kIrVersion = 7;  // both of ONNX 1.8
constexpr std::size_t kMostBytes = std::size_t{2'000'000'000};
constexpr std::int64_t kMicros = kMicro, kAllTicks = kTicks;

template <class T>
constexpr TensorProto::DataType kTypeOf = TensorProto::UNDEFINED;
template <>
constexpr TensorProto::DataType kTypeOf<float> = TensorProto::FLOAT;
template <>
constexpr TensorProto::DataType kTypeOf<double> = TensorProto::DOUBLE;
template <>
constexpr TensorProto::DataType kTypeOf<std::int16_t> = TensorProto::INT16;
template <>
constexpr TensorProto::DataType kTypeOf<std::int32_t> = TensorProto::INT32;
template <>
constexpr TensorProto::DataType kTypeOf<std::int64_t> = TensorProto::INT64;

/// Writes a graph node by node. Values are known by name; a function returns the name of what it makes.
class Graph {
 public:
  explicit Graph(onnx::GraphProto& graph) : graph_(graph) {}

  std::string node(const char* op, Names inputs, std::string output) {
    auto& made = *graph_.add_node();
    made.set_op_type(op);
    for (const auto& input : inputs) made.add_input(input);
    made.add_output(output);
    return output;
  }
  std::string node(const char* op, Names inputs) { return node(op, inputs, fmt::format("v{}", ++values_)); }

  std::string cast(const std::string& value, TensorProto::DataType to) {
    return with(node("Cast", {value}), "to", to);
  }
  /// Of `values`, those at `indices` along `axis`; the axis goes where the index is a number.
  std::string gather(const std::string& values, const std::string& indices, std::int64_t axis) {
    return with(node("Gather", {values, indices}), "axis", axis);
  }
  /// Over axis 1; with `keep`, it stays, and has one element.
  std::string sum(const std::string& value, bool keep) {
    return with(node("ReduceSum", {value, axis_1_}), "keepdims", keep ? 1 : 0);
  }

  /// A constant of this shape.
  template <class T>
  std::string constant(const std::string& name, std::initializer_list<std::int64_t> shape,
                       std::span<const T> values) {
    auto& made = tensor<T>(name, shape);
    made.set_raw_data(values.data(), values.size_bytes());
    return name;
  }
  /// A number.
  template <class T>
  std::string constant(const std::string& name, T value) {
    return constant<T>(name, {}, std::span(&value, 1));
  }
  /// A constant whose bytes are appended piece by piece to what is returned.
  template <class T>
  std::string& open(const std::string& name, std::initializer_list<std::int64_t> shape, std::size_t bytes) {
    auto& data = *tensor<T>(name, shape).mutable_raw_data();
    data.reserve(bytes);
    return data;
  }

  /// `size`: of the second axis; 0 where there is none. The first one is N.
  static void describe(onnx::ValueInfoProto& value, const char* name, TensorProto::DataType type,
                       std::uint32_t size = 0) {
    value.set_name(name);
    auto& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape()->add_dim()->set_dim_param("N");
    if (size > 0) tensor.mutable_shape()->add_dim()->set_dim_value(size);
  }

 private:
  /// The last node gets an attribute.
  std::string with(std::string output, const char* name, std::int64_t value) {
    auto& attribute = *graph_.mutable_node(graph_.node_size() - 1)->add_attribute();
    attribute.set_name(name);
    attribute.set_i(value);
    attribute.set_type(onnx::AttributeProto::INT);
    return output;
  }

  template <class T>
  TensorProto& tensor(const std::string& name, std::initializer_list<std::int64_t> shape) {
    auto& made = *graph_.add_initializer();
    made.set_name(name);
    made.set_data_type(kTypeOf<T>);
    for (const auto size : shape) made.add_dims(size);
    return made;
  }

  onnx::GraphProto& graph_;
  std::size_t values_ = 0;
  static constexpr std::int64_t kOne = 1;
  const std::string axis_1_ = constant<std::int64_t>("axis_1", {1}, std::span(&kOne, 1));
};

/// encode(): which input fires when, int32 [N, ticks, inputs], of 0 and 1.
std::string spikes_of(Graph& g, const std::string& features) {
  // NaN is not above 0, either.
  const auto zero = g.constant("zero_f", 0.0F);
  const auto clamped = g.node("Min", {g.node("Where", {g.node("Greater", {features, zero}), features, zero}),
                                      g.constant("one_f", 1.0F)});
  // In 256ths, rounded half up: Round would round half to even. Every step is exact in a float.
  const auto scaled = g.node("Mul", {clamped, g.constant("scale", 256.0F)});
  const auto whole = g.cast(scaled, TensorProto::INT32);
  const auto rest = g.node("Sub", {scaled, g.cast(whole, TensorProto::FLOAT)});
  const auto half_up = g.cast(g.node("GreaterOrEqual", {rest, g.constant("half", 0.5F)}), TensorProto::INT32);
  const auto step = g.node("Unsqueeze", {g.node("Add", {whole, half_up}), "axis_1"});
  // What has come together before each tick and after the last, in whole spikes: their differences fire.
  std::array<std::int32_t, kTicks + 1> elapsed{};
  for (std::uint32_t t = 0; t <= kTicks; ++t) elapsed[t] = static_cast<std::int32_t>(t);
  const auto charge = g.node(
      "Add", {g.node("Mul", {step, g.constant<std::int32_t>("elapsed", {1, kAllTicks + 1, 1}, elapsed)}),
              g.constant("charge", std::int32_t{128})});
  const auto fired = g.node("Div", {charge, g.constant("one_spike", std::int32_t{256})});
  constexpr std::int64_t kFrom[] = {0, 1}, kTo[] = {kAllTicks, kAllTicks + 1};
  const auto first = g.constant<std::int64_t>("from_0", {1}, std::span(&kFrom[0], 1));
  const auto next = g.constant<std::int64_t>("from_1", {1}, std::span(&kFrom[1], 1));
  const auto last = g.constant<std::int64_t>("to_last", {1}, std::span(&kTo[0], 1));
  const auto end = g.constant<std::int64_t>("to_end", {1}, std::span(&kTo[1], 1));
  return g.node("Sub", {g.node("Slice", {fired, next, end, "axis_1"}),
                        g.node("Slice", {fired, first, last, "axis_1"})});
}

/// read_out() without what every column adds: count * threshold + u, int32 [N, 16].
std::string run_ticks(Graph& g, const std::string& current, std::int16_t inhibition) {
  const auto threshold = g.constant("threshold", kThreshold);
  const auto inhibit = g.constant("inhibition", std::int32_t{inhibition});
  const auto least = g.constant("least", std::int32_t{-32'768});
  const auto most = g.constant("most", std::int32_t{32'767});
  // Division rounds to 0 and a shift downwards: what is divided is made positive, by a multiple of 4.
  const auto raise = g.constant("raise", std::int32_t{32'768});
  const auto lower = g.constant("lower", std::int32_t{8'192});
  const auto four = g.constant("four", std::int32_t{4});
  std::string u, fired, count;  // none before the first tick
  for (std::int64_t t = 0; t < kAllTicks; ++t) {
    auto now = g.gather(current, g.constant(fmt::format("tick_{}", t), t), 1);
    if (t > 0) {
      const auto leak = g.node("Sub", {g.node("Div", {g.node("Add", {u, raise}), four}), lower});
      const auto others = g.node("Sub", {g.sum(fired, true), fired});
      now = g.node("Add", {g.node("Sub", {u, leak}), now});
      now = g.node("Sub", {now, g.node("Mul", {others, inhibit})});
    }
    now = g.node("Clip", {now, least, most});
    fired = g.cast(g.node("GreaterOrEqual", {now, threshold}), TensorProto::INT32);
    u = g.node("Sub", {now, g.node("Mul", {fired, threshold})});
    count = t == 0 ? fired : g.node("Add", {count, fired});
  }
  return g.node("Add", {g.node("Mul", {count, threshold}), u});
}

/// Calibration::probability in its own order, so that only exp may round otherwise.
void add_probability(Graph& g, const Calibration& calibration) {
  const auto logit =
      g.node("Mul", {g.cast("z", TensorProto::DOUBLE), g.constant("logit", inference::colanet::logit(1))});
  const auto scaled = g.node("Mul", {logit, g.constant("a", calibration.a)});
  const auto shifted = g.node("Add", {g.node("Add", {scaled, g.constant("b", calibration.b)}),
                                      g.constant("sampling", std::log(calibration.sampling))});
  const auto within =
      g.node("Clip", {shifted, g.constant("least_logit", -80.0), g.constant("most_logit", 16.0)});
  const auto one = g.constant("one_d", 1.0);
  const auto odds = g.node("Add", {g.node("Exp", {g.node("Neg", {within})}), one});
  const auto probability = g.cast(g.node("Div", {one, odds}), TensorProto::FLOAT);
  g.node("Identity", {probability}, "p");
}

/// Weights [columns, inputs, 16], biases and gains [columns, 16], in 16 bits as in the file; offsets.
void add_columns(Graph& g, const Columns& columns) {
  const auto count = static_cast<std::int64_t>(columns.count);
  const auto inputs = static_cast<std::int64_t>(columns.inputs);
  constexpr auto kRow = kMicro * sizeof(std::int16_t);
  const auto add = [&](std::string& to, const std::int16_t* from, std::size_t rows) {
    to.append(reinterpret_cast<const char*>(from), rows * kRow);
  };
  auto& weights =
      g.open<std::int16_t>("weights", {count, inputs, kMicros}, columns.count * columns.inputs * kRow);
  for (std::uint32_t c = 0; c < columns.count; ++c) add(weights, columns.column(c).row(0), columns.inputs);
  auto& biases = g.open<std::int16_t>("biases", {count, 1, kMicros}, columns.count * kRow);
  for (std::uint32_t c = 0; c < columns.count; ++c) add(biases, columns.column(c).bias(), 1);
  auto& gains = g.open<std::int16_t>("gains", {count, kMicros}, columns.count * kRow);
  for (std::uint32_t c = 0; c < columns.count; ++c) add(gains, columns.column(c).gain(), 1);
  g.constant<std::int64_t>("offsets", {count}, columns.offsets);
}

void add_graph(onnx::GraphProto& graph, const Model& model) {
  const auto& columns = model.columns();
  graph.set_name("colanet");
  Graph::describe(*graph.add_input(), "features", TensorProto::FLOAT, columns.inputs);
  Graph::describe(*graph.add_input(), "columns", TensorProto::INT64);
  Graph::describe(*graph.add_output(), "z", TensorProto::INT64);
  Graph::describe(*graph.add_output(), "p", TensorProto::FLOAT);
  Graph g(graph);
  add_columns(g, columns);
  const auto of_row = [&](const char* table) { return g.gather(table, "columns", 0); };
  // Of all ticks at once: spikes [N, ticks, inputs] times weights [N, inputs, 16], and the biases.
  const auto sums =
      g.node("MatMul", {spikes_of(g, "features"), g.cast(of_row("weights"), TensorProto::INT32)});
  const auto current = g.node("Add", {sums, g.cast(of_row("biases"), TensorProto::INT32)});
  const auto total = g.cast(run_ticks(g, current, columns.inhibition), TensorProto::INT64);
  const auto weighed = g.node("Mul", {total, g.cast(of_row("gains"), TensorProto::INT64)});
  g.node("Add", {g.sum(weighed, false), of_row("offsets")}, "z");
  add_probability(g, model.calibration());
}

void add_metadata(onnx::ModelProto& file, const Model& model) {
  const auto& info = model.info();
  const auto add = [&](const char* key, std::string value) {
    auto& entry = *file.add_metadata_props();
    entry.set_key(key);
    entry.set_value(std::move(value));
  };
  const auto hex = [](std::uint64_t hash) { return fmt::format("{:016x}", hash); };
  add("format", "colanet");
  add("name", info.name);
  add("hash", hex(model.hash()));
  add("schema_hash", hex(info.schema_hash));
  add("data_hash", hex(info.data_hash));
  add("parent", hex(info.parent));
  add("created", fmt::format("{}", info.created_unix_ms));
  add("schema", std::string(model.schema()));
  // One at a time: as one JSON object in memory, a million offers would take several times their text.
  std::string offers = "{";
  for (std::uint32_t i = 0; i < model.offers(); ++i) {
    const auto offer = model.offer(i);
    offers += fmt::format("{}{}:{}", i == 0 ? "" : ",",
                          boost::json::serialize(boost::json::string_view(offer.id.data(), offer.id.size())),
                          offer.column);
  }
  add("offers", offers += "}");
}

}  // namespace

Result<std::string> to_onnx(const Model& model) {
  // Weights are most of either file.
  if (model.file_size() > kMostBytes)
    return Error{Code::invalid_argument, "unwritten-model",
                 fmt::format("The model {} has {} bytes, and an ONNX file of more than {} cannot be read by "
                             "others. Train it with fewer columns.",
                             model.label(), model.file_size(), kMostBytes),
                 ""};
  onnx::ModelProto file;
  file.set_ir_version(kIrVersion);
  file.set_producer_name("campaignctl");
  file.set_doc_string(
      "A column network of spiking neurons: 8 ticks of integrate, inhibit, saturate, fire, subtract.");
  auto& opset = *file.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOpset);
  add_metadata(file, model);
  add_graph(*file.mutable_graph(), model);
  return file.SerializeAsString();
}

}  // namespace cx::inference::colanet
