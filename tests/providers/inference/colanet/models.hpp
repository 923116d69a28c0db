#pragma once

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "providers/inference/colanet/bid_schema.hpp"
#include "providers/inference/colanet/writer.hpp"
#include "runtime/random.hpp"

/// Model files for tests.
namespace cx::inference::colanet::test {

/// A folder that is gone after the test.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "cx-model-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  Folder(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }
  std::filesystem::path path;
};

/// Columns of random weights, a function of the seed.
struct RandomColumns {
  RandomColumns(std::uint64_t seed, std::uint32_t inputs, std::uint32_t count)
      : block(count * column_size(inputs)), offsets(count), columns{inputs, count, 200, block, offsets} {
    Random random(seed);
    const auto within = [&random](std::int32_t most) {
      return static_cast<std::int16_t>(
          static_cast<std::int32_t>(random.below(2U * static_cast<unsigned>(most) + 1)) - most);
    };
    for (std::uint32_t c = 0; c < count; ++c) {
      auto* column = block.data() + c * column_size(inputs);
      for (std::size_t i = 0; i < (std::size_t{inputs} + 2) * kMicro; ++i) column[i] = within(kMaxWeight);
      offsets[c] = within(1000) * std::int64_t{1000};
    }
  }
  RandomColumns(const RandomColumns&) = delete;
  std::vector<std::int16_t> block;
  std::vector<std::int64_t> offsets;
  Columns columns;
};

/// A model for offers o-1 to o-(count - 1), each with its own column.
inline ModelParts parts_of(const RandomColumns& random, const std::string& name) {
  ModelParts parts;
  parts.info = {name, 11, 12, 13, 1'700'000'000'000, {0.9, -0.5, 0.25}};
  parts.schema = R"({"fields":[]})";
  parts.columns = random.columns;
  for (std::uint32_t c = 1; c < random.columns.count; ++c)
    parts.offers.emplace_back("o-" + std::to_string(c), c);
  return parts;
}

/// The same, as a node takes it.
inline ModelParts bid_parts_of(const RandomColumns& random, const std::string& name) {
  static std::map<std::uint32_t, std::string> schemas;  // what `schema` views
  auto parts = parts_of(random, name);
  parts.schema = schemas.try_emplace(random.columns.inputs, bid_schema(random.columns.inputs)).first->second;
  parts.info.schema_hash = schema_hash(parts.schema);
  return parts;
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace cx::inference::colanet::test
