#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/inference/provider.hpp"
#include "providers/inference/remote/profile.hpp"
#include "runtime/clock.hpp"

namespace cx::inference::remote {

/// A batch as a model server gets it, one row an item:
///
///     features  FP32  [rows, 256]
///     offers    INT32 [rows, width]   rows of the offer table; -1 behind an item's last
///     -> score  FP32  [rows, width]   click probabilities; whatever where the offer is -1
///
/// The first axis is the batch, so that a server can join requests; `width` is the most offers that an item
/// of the batch has, at least 1. Features that are not finite are sent as 0.
struct Batch {
  std::size_t rows = 0, width = 0;
  std::vector<float> features;
  std::vector<std::int32_t> offers;

  std::size_t cells() const { return rows * width; }
};

inline constexpr std::string_view kFeaturesName = "features", kOffersName = "offers", kScoreName = "score";

/// How a kind of server is spoken to. Used by one thread at a time, and may block it.
///
/// Errors of all of them: "remote-unreachable", "remote-timeout", "remote-refused" (a status that is not
/// success) and "remote-malformed" (an answer that is not what was asked for); each says what.
class Protocol {
 public:
  virtual ~Protocol() = default;
  /// "kserve-http"
  virtual std::string_view name() const = 0;
  /// The answer's scores, exactly `batch.cells()`, unchecked. Takes no longer than `timeout`, at least 1 ms.
  virtual Result<std::vector<float>> infer(const Batch& batch, std::chrono::milliseconds timeout) = 0;
  /// Whether the server is there and has the model.
  virtual std::optional<Error> ready(std::chrono::milliseconds timeout) = 0;
};

/// "remote-malformed" of a protocol.
Error malformed(std::string_view protocol, std::string_view what);
/// Nothing when an answer's only tensor is what it has to be; else "remote-malformed".
std::optional<Error> check_output(std::string_view protocol, std::string_view name, std::string_view datatype,
                                  std::span<const std::int64_t> shape, const Batch& batch);
/// What a stranger said, for an error or a log: printable, at most 200 bytes.
std::string excerpt(std::string_view text);

/// A model server as a provider. No answer is passed on that is not wholly what was asked for.
class RemoteProvider final : public CoLaNetProvider {
 public:
  struct Options {
    std::string model;  ///< its name on the server
    const Profile* profile = nullptr;
    std::chrono::milliseconds timeout{20};  ///< of an answer
  };
  RemoteProvider(std::unique_ptr<Protocol> protocol, Options options, const Clock& clock);

  /// Scores of at most max_batch_size() items, or why there are none: an error of the protocol; "no-time"
  /// when the earliest deadline leaves the server less than a millisecond; "batch-too-large" and
  /// "unknown-offer".
  Result<std::vector<Scores>> ask(std::span<const Item> items);

  Result<Scores> predict(const Item& item) override;
  std::vector<Result<Scores>> predict_batch(std::span<const Item> items) override;
  /// "kserve-http/colanet@inferentia2"
  std::string provider_name() const override;
  bool supports_batching() const override { return true; }
  std::size_t max_batch_size() const override { return options_.profile->max_batch; }
  std::optional<Error> warm_up() override;

 private:
  std::chrono::milliseconds budget(std::span<const Item> items) const;

  std::unique_ptr<Protocol> protocol_;
  const Options options_;
  const Clock& clock_;
};

}  // namespace cx::inference::remote
