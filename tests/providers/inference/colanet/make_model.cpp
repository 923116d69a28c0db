// Writes a model for bids of random columns, the first for all offers, the others for offer-00000,
// offer-00001 and so on, and cases that say what it computes: make_model MODEL CASES SEED INPUTS COLUMNS
// COUNT. A case, little-endian: column u32, 0 u32, z i64, p f32, 0 u32, then the inputs, f32 each.

#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <limits>

#include "providers/inference/colanet/bid_schema.hpp"
#define DOCTEST_CONFIG_DISABLE  // no test here: only what makes their models
#include "tests/providers/inference/colanet/models.hpp"

using namespace cx;
using namespace cx::inference::colanet;

namespace {

/// Values that an encoder may get wrong: none that is one, those beyond the ends, and those around the middle
/// between two steps.
std::vector<float> awkward() {
  constexpr auto kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> out{0,
                         -0.0F,
                         1,
                         -1,
                         2,
                         1e30F,
                         kInfinity,
                         -kInfinity,
                         std::numeric_limits<float>::quiet_NaN(),
                         std::numeric_limits<float>::denorm_min(),
                         std::nextafter(1.0F, 0.0F)};
  for (int step = 0; step < 256; ++step) {
    const auto middle = (static_cast<float>(step) + 0.5F) / 256;
    for (const auto x : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, 1.0F)})
      out.push_back(x);
  }
  return out;
}

template <class T>
void put(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const auto number = [&](int i) { return static_cast<std::uint32_t>(std::stoul(argv[i])); };
  const auto seed = number(3), inputs = number(4), count = number(5), cases = number(6);
  const test::RandomColumns columns(seed, inputs, count);
  auto parts = test::parts_of(columns, fmt::format("random-{}", seed));
  const auto schema = bid_schema(inputs);
  parts.schema = schema;
  parts.info.schema_hash = schema_hash(schema);
  parts.offers.clear();
  for (std::uint32_t c = 1; c < count; ++c) parts.offers.emplace_back(fmt::format("offer-{:05}", c - 1), c);
  if (const auto hash = write_model(argv[1], parts); !hash) {
    fmt::print(stderr, "{}\n", hash.error().detail);
    return 1;
  }

  std::string out;
  Random random(seed + 1);
  const auto special = awkward();
  Events events;
  std::vector<float> values(inputs);
  for (std::uint32_t i = 0; i < cases; ++i) {
    const auto share = 1 + random.below(100);  // percent that are not 0
    for (auto& x : values)
      x = random.below(100) >= share ? 0.0F
          : random.below(2) == 0     ? static_cast<float>(random.uniform())
                                     : special[random.below(static_cast<std::uint32_t>(special.size()))];
    const auto column = random.below(count);
    encode(values, events);
    const auto z = read_out(events, columns.columns.column(column), columns.columns.inhibition);
    put(out, std::uint32_t{column});
    put(out, std::uint32_t{0});
    put(out, z);
    put(out, static_cast<float>(parts.info.calibration.probability(logit(z))));
    put(out, std::uint32_t{0});
    for (const auto x : values) put(out, x);
  }
  test::write_bytes(argv[2], out);
}
