// Prints a checksum of many read-outs for each kernel of the CPU that it runs on, which must all be the same
// one: `neon` beside this file compares them between architectures. Nothing here depends on the architecture,
// so the random numbers are of the standard's own generator, without its distributions.

#include <cstdio>
#include <cstdlib>
#include <random>

#include "providers/inference/colanet/kernels.hpp"

using namespace cx::inference::colanet;

int main() {
  for (const auto& kernel : kernels()) {
    std::mt19937_64 random(1);
    std::uint64_t checksum = 0;
    for (const std::uint32_t inputs : {1U, 33U, 256U, 300U})
      for (const unsigned share : {2U, 8U, 30U, 100U})
        for (const std::int16_t inhibition : {0, 205, 1'023}) {
          constexpr std::uint32_t kCount = 11;
          const auto limit = 1 + random() % kMaxWeight;
          const auto size = kCount * column_size(inputs);
          auto* const numbers =
              static_cast<std::int16_t*>(std::aligned_alloc(kAlignment, size * sizeof(std::int16_t)));
          for (std::size_t i = 0; i < size; ++i)
            numbers[i] = static_cast<std::int16_t>(static_cast<std::int64_t>(random() % (2 * limit + 1)) -
                                                   static_cast<std::int64_t>(limit));
          const std::vector<std::int64_t> offsets(kCount, 17);
          const Columns columns{inputs, kCount, inhibition, {numbers, size}, offsets};
          std::vector<float> values(inputs);
          for (auto& value : values)
            if (random() % 100 < share)
              value = random() % 5 == 0 ? static_cast<float>(random() % 1'024) / 1'024 : 1;
          Events events;
          encode(values, events);
          std::vector<std::uint32_t> which;
          for (std::size_t i = 0; i < 13; ++i) which.push_back(static_cast<std::uint32_t>(random() % kCount));
          std::vector<std::int64_t> out(which.size());
          kernel.read_out(events, columns, which, out);
          for (std::size_t i = 0; i < out.size(); ++i) {
            if (out[i] != read_out(events, columns.column(which[i]), inhibition)) {
              std::printf("%s differs from the plain read-out\n", kernel.name);
              return 1;
            }
            checksum = (checksum ^ static_cast<std::uint64_t>(out[i])) * 0x100000001b3;
          }
          std::free(numbers);
        }
    std::printf("%016llx %s\n", static_cast<unsigned long long>(checksum), kernel.name);
  }
}
