// Benchmark of the column network's kernels: the event-driven integers of each instruction set, the same
// network densely in floats, and that one's products by OpenBLAS, on one core, in turns. Prints one JSON
// object for each, which tests/bench/bench makes a table of.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <dlfcn.h>
#include <fmt/format.h>
#include <functional>
#include <set>
#include <time.h>

#include "providers/inference/colanet/kernels.hpp"
#include "runtime/random.hpp"
#include "tests/bench/dense.hpp"

namespace cx::bench {
namespace {

namespace colanet = inference::colanet;
using colanet::kMicro;
using colanet::kTicks;

struct Options {
  std::uint32_t inputs = 256;
  std::uint32_t on = 22;      // inputs of a request that are 1
  std::uint32_t between = 4;  // and those between 0 and 1
  std::uint32_t offers = 1'000;
  std::uint32_t candidates = 64;  // columns that a request asks for
  std::uint32_t rounds = 5;
  double seconds = 0.2;  // of each contender in each round
};

constexpr std::size_t kRequests = 256;

/// Time of this thread on a core: a neighbour costs caches, but not turns.
double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Request {
  std::vector<float> inputs;
  std::vector<std::uint32_t> which;
};

/// Weights as training leaves them: a column fires in some ticks and not in others.
struct Network {
  Network(const Options& options, Random& random)
      : numbers(hwy::AllocateAligned<std::int16_t>(options.offers * colanet::column_size(options.inputs))),
        offsets(options.offers) {
    const auto size = colanet::column_size(options.inputs);
    for (std::size_t i = 0; i < options.offers * size; ++i)
      numbers[i] = static_cast<std::int16_t>(std::clamp(random.normal() * 60, -1'023.0, 1'023.0));
    for (auto& offset : offsets) offset = random.below(1'000'000);
    columns = {options.inputs, options.offers, 205, {numbers.get(), options.offers * size}, offsets};
  }
  hwy::AlignedFreeUniquePtr<std::int16_t[]> numbers;
  std::vector<std::int64_t> offsets;
  colanet::Columns columns;
};

std::vector<Request> requests(const Options& options, Random& random) {
  std::vector<Request> made(kRequests);
  for (auto& request : made) {
    request.inputs.resize(options.inputs);
    for (std::uint32_t i = 0; i < options.inputs; ++i)
      request.inputs[i] = i < options.on                     ? 1
                          : i < options.on + options.between ? static_cast<float>(random.uniform())
                                                             : 0;
    for (std::uint32_t i = options.inputs; i > 1; --i)
      std::swap(request.inputs[i - 1], request.inputs[random.below(i)]);
    for (std::uint32_t i = 0; i < options.candidates; ++i)
      request.which.push_back(random.below(options.offers));
  }
  return made;
}

/// What a request makes the event-driven kernel read: rows of weights and, as memory is read by the line,
/// those.
struct Touched {
  double rows = 0;
  double lines = 0;
};
Touched touched(const std::vector<Request>& requests) {
  Touched sum;
  colanet::Events events;
  for (const auto& request : requests) {
    colanet::encode(request.inputs, events);
    std::set<std::size_t> rows(events.always.begin(), events.always.end());
    for (const auto& tick : events.at) rows.insert(tick.begin(), tick.end());
    std::set<std::size_t> lines{0};  // of biases and gains
    for (const auto row : rows) lines.insert((row + 2) / 2);
    sum.rows += static_cast<double>(rows.size() + 2);
    sum.lines += static_cast<double>(lines.size());
  }
  return {sum.rows / static_cast<double>(requests.size()), sum.lines / static_cast<double>(requests.size())};
}

/// OpenBLAS, where it is installed; single-threaded.
class Blas {
 public:
  Blas() {
    auto* const library = ::dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    gemm_ = reinterpret_cast<Gemm>(::dlsym(library, "cblas_sgemm"));
    gemv_ = reinterpret_cast<Gemv>(::dlsym(library, "cblas_sgemv"));
    const auto threads = reinterpret_cast<void (*)(int)>(::dlsym(library, "openblas_set_num_threads"));
    if (threads != nullptr) threads(1);
    there_ = gemm_ != nullptr && gemv_ != nullptr && threads != nullptr;
  }
  bool there() const { return there_; }

  /// c = a * b: (m, k) and (k, n), rows first.
  void multiply(int m, int n, int k, const float* a, const float* b, float* c) const {
    gemm_(kRowMajor, kPlain, kPlain, m, n, k, 1, a, k, b, n, 0, c, n);
  }
  /// y = a * x: (m, k), rows first; `stride` between the numbers of x and those of y.
  void multiply(int m, int k, const float* a, const float* x, float* y, int stride) const {
    gemv_(kRowMajor, kPlain, m, k, 1, a, k, x, stride, 0, y, stride);
  }

 private:
  static constexpr int kRowMajor = 101;
  static constexpr int kPlain = 111;
  using Gemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float,
                        float*, int);
  using Gemv = void (*)(int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
  Gemm gemm_ = nullptr;
  Gemv gemv_ = nullptr;
  bool there_ = false;
};

/// The weights as OpenBLAS likes them: a row of inputs for each microcolumn of each column.
std::vector<float> transposed(const colanet::Columns& columns) {
  std::vector<float> rows;
  rows.reserve(std::size_t{columns.count} * kMicro * columns.inputs);
  for (std::uint32_t c = 0; c < columns.count; ++c)
    for (std::size_t m = 0; m < kMicro; ++m)
      for (std::size_t j = 0; j < columns.inputs; ++j) rows.push_back(columns.column(c).row(j)[m]);
  return rows;
}

struct Contender {
  std::string name;
  /// Scores a request; from its inputs on, so that encoding them counts.
  std::function<void(const Request&, std::span<std::int64_t>)> score;
  bool says_z = true;
  std::vector<double> per_second = {};  // of each round
};

/// Scores/s of CPU time.
double measure(const Contender& contender, const std::vector<Request>& requests, double seconds) {
  std::vector<std::int64_t> out(requests.front().which.size());
  const auto start = cpu_seconds();
  std::size_t calls = 0;
  double took = 0;
  do {
    for (int i = 0; i < 16; ++i) contender.score(requests[calls++ % requests.size()], out);
    took = cpu_seconds() - start;
  } while (took < seconds);
  return static_cast<double>(calls * out.size()) / took;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(const Options& options) {
  Random random(7);
  const Network network(options, random);
  const auto& columns = network.columns;
  const auto asked = requests(options, random);
  colanet::Events events;
  std::vector<float> spikes;

  std::vector<Contender> contenders;
  for (const auto& kernel : colanet::kernels())
    contenders.push_back(
        {std::string("events ") + kernel.name, [&, kernel](const Request& request, auto out) {
           colanet::encode(request.inputs, events);
           kernel.read_out(events, columns, request.which, out);
         }});
  const Dense dense(columns);
  contenders.push_back({"dense", [&](const Request& request, auto out) {
                          colanet::encode(request.inputs, events);
                          expand(events, columns.inputs, spikes);
                          dense.read_out(spikes, request.which, out);
                        }});
  contenders.push_back({"dense by tick", [&](const Request& request, auto out) {
                          colanet::encode(request.inputs, events);
                          expand(events, columns.inputs, spikes);
                          dense.read_out_by_tick(spikes, request.which, out);
                        }});
  const Blas blas;
  std::vector<float> rows;
  std::vector<float> product;
  if (blas.there() && options.candidates <= options.offers) {
    // Only the products, and of columns side by side: less than the others do.
    rows = transposed(columns);
    product.resize(std::size_t{options.candidates} * kMicro * kTicks);
    const auto first = [&](const Request& request) {
      const auto column = std::min(request.which.front(), options.offers - options.candidates);
      colanet::encode(request.inputs, events);
      expand(events, columns.inputs, spikes);
      return rows.data() + std::size_t{column} * kMicro * columns.inputs;
    };
    const auto m = static_cast<int>(options.candidates * kMicro);
    const auto k = static_cast<int>(columns.inputs);
    contenders.push_back({"OpenBLAS sgemm",
                          [&, first, m, k](const Request& request, auto) {
                            const auto* const weights = first(request);
                            blas.multiply(m, kTicks, k, weights, spikes.data(), product.data());
                          },
                          false});
    contenders.push_back({"OpenBLAS sgemv",
                          [&, first, m, k](const Request& request, auto) {
                            const auto* const weights = first(request);
                            for (std::size_t t = 0; t < kTicks; ++t)
                              blas.multiply(m, k, weights, spikes.data() + t, product.data() + t, kTicks);
                          },
                          false});
  }
  // All say what the plain one says.
  std::size_t mismatched = 0;
  std::vector<std::int64_t> out(options.candidates);
  for (const auto& contender : contenders)
    for (std::size_t r = 0; r < asked.size() && contender.says_z; r += 8) {
      contender.score(asked[r], out);
      for (std::size_t i = 0; i < out.size(); ++i)
        if (out[i] != colanet::read_out(events, columns.column(asked[r].which[i]), columns.inhibition))
          ++mismatched;
    }

  for (const auto& contender : contenders) {
    if (contender.says_z) continue;
    contender.score(asked.front(), {});
    const auto first = std::min(asked.front().which.front(), options.offers - options.candidates);
    for (std::size_t i = 0; i < product.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < columns.inputs; ++j)
        sum += rows[(first * kMicro + i / kTicks) * columns.inputs + j] * spikes[j * kTicks + i % kTicks];
      if (product[i] != sum) ++mismatched;
    }
  }

  for (std::uint32_t round = 0; round < options.rounds; ++round)
    for (auto& contender : contenders)
      contender.per_second.push_back(measure(contender, asked, options.seconds));

  const auto reads = touched(asked);
  const auto& base =
      *std::find_if(contenders.begin(), contenders.end(), [](auto& c) { return c.name == "dense"; });
  for (const auto& contender : contenders) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < options.rounds; ++r)
      ratios.push_back(contender.per_second[r] / base.per_second[r]);
    const auto events_only = contender.name.starts_with("events");
    const auto weights = (options.inputs + 1.0) * kMicro * sizeof(float);  // of a column, densely
    fmt::print(
        R"({{"what":"inference","contender":"{}","inputs":{},"on":{},"between":{},"offers":{},"candidates":{},)"
        R"("per_second":{:.0f},"best":{:.0f},"times_dense":{:.2f},"bytes":{:.0f},"line_bytes":{:.0f},"mismatched":{}}})"
        "\n",
        contender.name, options.inputs, options.on, options.between, options.offers, options.candidates,
        median(contender.per_second),
        *std::max_element(contender.per_second.begin(), contender.per_second.end()), median(ratios),
        events_only ? reads.rows * kMicro * sizeof(std::int16_t) : weights,
        events_only ? reads.lines * 64 : weights, mismatched);
  }
  return 0;
}

}  // namespace
}  // namespace cx::bench

int main(int argc, char** argv) {
  cx::bench::Options options;
  CLI::App app{"Scores a second of the column network's kernels, on one core"};
  app.add_option("--inputs", options.inputs, "inputs of the network")
      ->check(CLI::Range(1, 65'535))
      ->capture_default_str();
  app.add_option("--on", options.on, "of them 1")->capture_default_str();
  app.add_option("--between", options.between, "of them between 0 and 1")->capture_default_str();
  app.add_option("--offers", options.offers, "columns")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--candidates", options.candidates, "columns of a request")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "turns of each contender")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "CPU time of a turn")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.on + options.between > options.inputs) {
    fmt::print(stderr, "--on and --between add up to more than --inputs; lower them\n");
    return 1;
  }
  return cx::bench::run(options);
}
