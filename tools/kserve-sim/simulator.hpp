#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/inference/provider.hpp"
#include "providers/inference/remote/profile.hpp"
#include "runtime/random.hpp"

namespace cx::kserve_sim {

/// What becomes of a request.
enum class Mode {
  ok,
  error,         ///< a status that is not success
  hang,          ///< no answer
  slow,          ///< the answer takes `delay`, over HTTP byte by byte
  reset,         ///< the connection is reset instead of an answer
  cut,           ///< the connection ends within the answer
  malformed,     ///< an answer whose parts do not fit together
  wrong_shape,   ///< one row more than was asked for
  wrong_type,    ///< scores of another type
  nan,           ///< a score that is not a number
  out_of_range,  ///< a score of 1.5
  huge,          ///< an answer of a few MiB
};
/// "ok", "wrong-shape"; nothing for a name that there is not.
std::optional<Mode> mode_of(std::string_view name);
/// All names, with ", " between.
std::string mode_names();

struct Behaviour {
  Mode mode = Mode::ok;
  double share = 1;                         ///< of requests that it hits
  std::optional<std::uint64_t> count;       ///< how many more it hits; absent: all
  unsigned status = 503;                    ///< of error
  std::chrono::milliseconds delay{60'000};  ///< of slow
};

struct Options {
  std::string model = "colanet";  ///< its name
  const inference::remote::Profile* profile = nullptr;
  std::uint64_t seed = 1;  ///< of which requests a share hits
};

/// Scores of a batch as they are to be sent: of a mode that tampers with values, tampered with.
struct Output {
  std::vector<std::int64_t> shape;
  std::string datatype = "FP32";
  std::vector<float> scores;
};

/// A model server as one object, without sockets: a model, the limits of a hardware profile, and how it
/// misbehaves. Thread-safe.
class Simulator {
 public:
  Simulator(Options options, std::unique_ptr<inference::CoLaNetProvider> model);

  const std::string& model() const { return options_.model; }
  std::chrono::microseconds latency() const { return options_.profile->latency; }

  void behave(Behaviour behaviour);
  /// What becomes of the next request; counts it.
  Behaviour next();
  std::uint64_t requests() const { return requests_; }
  std::uint64_t misbehaved() const { return misbehaved_; }

  /// Scores of features [rows, 256] and offers [rows, width], 0 where an offer is below 0. An error when the
  /// profile takes no such batch or the model has no such offer.
  Result<Output> score(std::span<const float> features, std::span<const std::int32_t> offers,
                       std::size_t rows, std::size_t width, Mode mode);

 private:
  const Options options_;
  std::mutex mutex_;  // guards the next three
  const std::unique_ptr<inference::CoLaNetProvider> provider_;
  Behaviour behaviour_;
  Random random_;
  std::atomic<std::uint64_t> requests_{0}, misbehaved_{0};
};

}  // namespace cx::kserve_sim
