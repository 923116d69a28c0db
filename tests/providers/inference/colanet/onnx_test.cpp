#include "providers/inference/colanet/onnx.hpp"

#include <doctest/doctest.h>
#include <map>
#include <numeric>
#include <set>

#include "providers/inference/colanet/onnx.pb.h"
#include "tests/providers/inference/colanet/models.hpp"

// That a runtime computes what we do is tests/e2e/test_onnx.py's; here is what needs none.
namespace cx::inference::colanet {
namespace {

struct Exported {
  Exported(std::uint32_t inputs, std::uint32_t count) : columns(3, inputs, count) {
    auto parts = test::parts_of(columns, "one");
    parts.offers.emplace_back("a \"quoted\" one", 1);
    REQUIRE(write_model(folder.file("m"), parts));
    auto opened = Model::open(folder.file("m"));
    REQUIRE(opened);
    model.emplace(std::move(*opened));
    const auto made = to_onnx(*model);
    REQUIRE(made);
    bytes = *made;
    REQUIRE(file.ParseFromString(bytes));
  }

  const onnx::TensorProto& tensor(const std::string& name) const {
    for (const auto& one : file.graph().initializer())
      if (one.name() == name) return one;
    FAIL("no tensor " << name);
    return onnx::TensorProto::default_instance();
  }

  test::Folder folder;
  test::RandomColumns columns;
  std::optional<Model> model;
  std::string bytes;
  onnx::ModelProto file;
};

}  // namespace

TEST_CASE("every node of an exported model reads what is there before it, and each value is made once") {
  const Exported exported(5, 3);
  const auto& graph = exported.file.graph();
  std::set<std::string> known, read;
  for (const auto& input : graph.input()) CHECK(known.insert(input.name()).second);
  for (const auto& tensor : graph.initializer()) CHECK(known.insert(tensor.name()).second);
  for (const auto& node : graph.node()) {
    for (const auto& input : node.input()) {
      CHECK_MESSAGE(known.contains(input), node.op_type() << " reads " << input);
      read.insert(input);
    }
    for (const auto& output : node.output()) CHECK(known.insert(output).second);
  }
  for (const auto& output : graph.output()) CHECK(known.contains(output.name()));
  // And nothing is there that nobody asks for.
  for (const auto& name : known) CHECK_MESSAGE((read.contains(name) || name == "z" || name == "p"), name);
}

TEST_CASE(
    "an exported model has the weights of every column, and each tensor the bytes that its shape asks for") {
  const Exported exported(5, 3);
  const std::map<int, std::int64_t> sizes{{onnx::TensorProto::FLOAT, 4},
                                          {onnx::TensorProto::INT16, 2},
                                          {onnx::TensorProto::INT32, 4},
                                          {onnx::TensorProto::INT64, 8},
                                          {onnx::TensorProto::DOUBLE, 8}};
  for (const auto& tensor : exported.file.graph().initializer())
    CHECK(static_cast<std::int64_t>(tensor.raw_data().size()) ==
          std::accumulate(tensor.dims().begin(), tensor.dims().end(), sizes.at(tensor.data_type()),
                          std::multiplies<>()));
  const auto& weights = exported.tensor("weights");
  CHECK(weights.dims_size() == 3);
  const auto* values = reinterpret_cast<const std::int16_t*>(weights.raw_data().data());
  for (std::uint32_t c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < 5; ++i)
      for (std::size_t m = 0; m < kMicro; ++m)
        CHECK(values[(c * 5 + i) * kMicro + m] == exported.columns.columns.column(c).row(i)[m]);
}

TEST_CASE(
    "an exported model says whose it is, and which column is which offer's; the same model gives the same "
    "bytes") {
  const Exported exported(1, 3);
  std::map<std::string, std::string> about;
  for (const auto& entry : exported.file.metadata_props()) about[entry.key()] = entry.value();
  CHECK(about["name"] == "one");
  CHECK(about["hash"].substr(0, 8) == exported.model->label().substr(4));
  CHECK(about["schema_hash"] == "000000000000000b");
  CHECK(about["parent"] == "000000000000000d");
  CHECK(about["schema"] == R"({"fields":[]})");
  CHECK(about["offers"] == R"({"a \"quoted\" one":1,"o-1":1,"o-2":2})");
  CHECK(*to_onnx(*exported.model) == exported.bytes);
}

}  // namespace cx::inference::colanet
