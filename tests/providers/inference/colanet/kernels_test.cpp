#include "providers/inference/colanet/kernels.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <hwy/aligned_allocator.h>
#include <numeric>
#include <string>

#include "runtime/random.hpp"

namespace cx::inference::colanet {
namespace {

/// Columns in memory that is aligned as a model's is.
struct Block {
  template <class Weight, class Gain>
  Block(std::uint32_t inputs, std::uint32_t count, std::int16_t inhibition, Weight weight, Gain gain)
      : size(count * column_size(inputs)), numbers(hwy::AllocateAligned<std::int16_t>(size)), offsets(count) {
    for (std::uint32_t c = 0; c < count; ++c) {
      auto* const column = numbers.get() + c * column_size(inputs);
      for (std::size_t i = 0; i < column_size(inputs); ++i) column[i] = i / kMicro == 1 ? gain() : weight();
      offsets[c] = static_cast<std::int64_t>(c) * 1'000'003 - 7;
    }
    view = {inputs, count, inhibition, {numbers.get(), size}, offsets};
  }

  std::size_t size;
  hwy::AlignedFreeUniquePtr<std::int16_t[]> numbers;
  std::vector<std::int64_t> offsets;
  Columns view;
};

Block random_block(Random& random, std::uint32_t inputs, std::uint32_t count, std::int16_t inhibition) {
  const auto limit = 1 + random.below(kMaxWeight);  // small ones let it fire now and then, large ones often
  return Block(
      inputs, count, inhibition,
      [&] {
        return static_cast<std::int16_t>(static_cast<int>(random.below(2 * limit + 1)) -
                                         static_cast<int>(limit));
      },
      [&] { return static_cast<std::int16_t>(random.below(65'536)); });
}

/// About `share` of the inputs are on, every fifth of them somewhere between 0 and 1.
Events random_events(Random& random, std::uint32_t inputs, double share) {
  std::vector<float> values(inputs);
  for (auto& value : values)
    if (random.uniform() < share) value = random.below(5) == 0 ? static_cast<float>(random.uniform()) : 1.0F;
  Events events;
  encode(values, events);
  return events;
}

std::vector<std::uint32_t> all_of(const Columns& columns) {
  std::vector<std::uint32_t> which(columns.count);
  std::iota(which.begin(), which.end(), 0U);
  return which;
}

std::vector<std::int64_t> plainly(const Events& events, const Columns& columns,
                                  std::span<const std::uint32_t> which) {
  std::vector<std::int64_t> z;
  for (const auto column : which) z.push_back(read_out(events, columns.column(column), columns.inhibition));
  return z;
}

std::vector<std::int64_t> by(const Kernel& kernel, const Events& events, const Columns& columns,
                             std::span<const std::uint32_t> which) {
  std::vector<std::int64_t> z(which.size(), -1);
  kernel.read_out(events, columns, which, z);
  return z;
}

void check_all(const Events& events, const Columns& columns, std::span<const std::uint32_t> which) {
  const auto expected = plainly(events, columns, which);
  for (const auto& kernel : kernels()) {
    CAPTURE(kernel.name);
    CHECK(by(kernel, events, columns, which) == expected);
  }
}

}  // namespace

TEST_CASE("there is a scalar kernel and one that is taken, each under a name of its own") {
  const auto found = kernels();
  REQUIRE(!found.empty());
  std::string names;
  for (const auto& kernel : found) names += std::string(kernel.name) + " ";
  MESSAGE("kernels: " << names);
  for (std::size_t i = 0; i < found.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      CHECK(std::string_view(found[i].name) != found[j].name);
      CHECK((found[i].read_out != found[j].read_out));
    }
#ifdef __x86_64__
  CHECK(std::string_view(found.back().name) == "SCALAR");
#endif
}

TEST_CASE("every kernel says what the plain one does, for any number of inputs and density") {
  Random random(11);
  for (const std::uint32_t inputs : {0U, 1U, 2U, 31U, 32U, 33U, 64U, 255U, 256U, 300U, 1'000U})
    for (const double share : {0.0, 0.02, 0.1, 0.5, 1.0})
      for (const std::int16_t inhibition : {0, 205, 300, 1'023}) {
        CAPTURE(inputs);
        CAPTURE(share);
        CAPTURE(inhibition);
        const auto block = random_block(random, inputs, 7, inhibition);
        check_all(random_events(random, inputs, share), block.view, all_of(block.view));
      }
}

TEST_CASE("the largest weights, gains and inhibitions do not overflow") {
  Random random(5);
  const auto most = static_cast<std::int16_t>(kMaxWeight);
  const auto least = static_cast<std::int16_t>(-kMaxWeight);
  const auto either = [&] { return random.below(2) == 0 ? most : least; };
  for (const std::uint32_t inputs : {1U, 32U, 33U, 256U, 300U, 65'535U}) {
    for (const std::int16_t inhibition : {-32'768, 0, 300, 32'767})
      for (const std::int16_t gain : {-32'768, 32'767}) {
        CAPTURE(inputs);
        CAPTURE(inhibition);
        CAPTURE(gain);
        const auto same_gain = [&] { return gain; };
        std::vector<float> values(inputs, 1.0F);
        Events events;
        encode(values, events);
        for (const auto& block : {Block(
                                      inputs, 1, inhibition, [&] { return most; }, same_gain),
                                  Block(
                                      inputs, 1, inhibition, [&] { return least; }, same_gain),
                                  Block(inputs, 1, inhibition, either, same_gain)})
          check_all(events, block.view, all_of(block.view));
        for (auto& value : values) value = static_cast<float>(random.uniform());
        encode(values, events);
        const Block block(inputs, 1, inhibition, either, same_gain);
        check_all(events, block.view, all_of(block.view));
      }
  }
}

TEST_CASE("columns do not disturb each other: any number, order and repetition of them") {
  Random random(8);
  for (int round = 0; round < 20; ++round) {
    const auto block = random_block(random, 64, 23, 205);
    const auto events = random_events(random, 64, 0.2);
    const auto everything = all_of(block.view);
    const auto alone = plainly(events, block.view, everything);
    for (std::size_t size = 0; size <= 17; ++size) {
      std::vector<std::uint32_t> which;
      for (std::size_t i = 0; i < size; ++i) which.push_back(static_cast<std::uint32_t>(random.below(23)));
      for (const auto& kernel : kernels()) {
        CAPTURE(kernel.name);
        const auto z = by(kernel, events, block.view, which);
        for (std::size_t i = 0; i < size; ++i) CHECK(z[i] == alone[which[i]]);
      }
    }
  }
}

TEST_CASE("the kernel that is taken leaves the rest of the output alone") {
  Random random(2);
  const auto block = random_block(random, 256, 16, 205);
  const auto events = random_events(random, 256, 0.1);
  const std::uint32_t which[] = {3, 3, 15, 0, 9};
  std::vector<std::int64_t> out(7, -1);
  read_out(events, block.view, which, out);
  auto expected = plainly(events, block.view, which);
  expected.resize(7, -1);
  CHECK(out == expected);
  read_out(events, block.view, {}, out);
  CHECK(out == expected);
}

}  // namespace cx::inference::colanet
