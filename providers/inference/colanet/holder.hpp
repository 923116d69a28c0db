#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "providers/inference/colanet/model.hpp"
#include "runtime/error.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::inference::colanet {

/// A model and what it means for the offers of this node. Immutable.
struct Served {
  Model model;
  /// The column of each row of the node's offer table: its own, or the prior.
  std::vector<std::uint32_t> column_of_row;
  std::uint32_t own = 0;  ///< rows that have a column of their own
  std::string label;      ///< Model::label
};

/// The model in use. On a thread of its own it looks at the file once in an interval, follows links, and
/// where the file is another one than before, reads it, checks it and puts it in place of the model in use;
/// nobody waits for that. A file that is refused, as one whose inputs are not those of a bid is
/// (bid_schema.hpp), is told of once, and the model in use stays. Thread-safe.
class ModelHolder {
 public:
  /// Opens the first model, or says why it cannot be used. `offers`: ids by row of the node's offer table.
  static Result<std::shared_ptr<ModelHolder>> open(
      std::string path, std::vector<std::string> offers,
      std::chrono::milliseconds interval = std::chrono::seconds(1));

  /// Take it for a batch and give it back after.
  std::shared_ptr<const Served> current() const;

  /// Looks at the file now. True if another model is in use than before.
  bool look();

  /// Adds what is known of the model in use, and counts of swaps and refusals. `metrics` reads them as long
  /// as it lives: this object has to outlive its last reading.
  void add_metrics(Metrics& metrics);

  std::int64_t swaps() const { return swaps_.value(); }
  std::int64_t refusals() const { return refusals_.value(); }

 private:
  /// Tells one file at a path from another, and from none (all 0).
  struct Stamp {
    std::uint64_t device = 0, inode = 0;
    std::int64_t size = 0, seconds = 0, nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };

  ModelHolder(std::string path, std::vector<std::string> offers)
      : path_(std::move(path)), offers_(std::move(offers)) {}
  Stamp stamp() const;
  Result<std::shared_ptr<const Served>> load() const;

  const std::string path_;
  const std::vector<std::string> offers_;
  Counter swaps_, refusals_;

  std::mutex looking_;  // one at a time
  Stamp seen_;
  std::vector<std::shared_ptr<const Served>> retired_;

  mutable std::mutex mutex_;  // of current_ only
  std::shared_ptr<const Served> current_;

  std::mutex waiting_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace cx::inference::colanet
