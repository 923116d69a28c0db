#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cx/v1/inference.pb.h"
#include "providers/inference/supervisor.hpp"

namespace cx::inference {

/// A provider as a worker of the pool: joins the requests of a batch for it, and takes its answer apart.
class ProviderWorker final : public pool::Worker<v1::Predict, v1::Predicted> {
 public:
  /// Makes a provider and warms it up; throws when that fails, with the reason.
  explicit ProviderWorker(std::shared_ptr<const ProviderFactory> make_provider);

  /// When the provider throws, what it had is scored by a new one, an item at a time, and those at which that
  /// one throws are errors of their own; then it throws itself, so as to be replaced.
  void start(Tasks tasks, Done done) override;

 private:
  using Outcome = pool::Outcome<v1::Predicted>;
  struct Scored {
    Result<Scores> scores;
    std::size_t model;  // who said so: place in models_
  };

  void renew();
  void score(std::span<const Item> items);
  void score_alone(std::span<const Item> items);
  void note(std::vector<Result<Scores>> results, std::size_t expected);
  Outcome to_outcome(std::span<const Scored> scored) const;

  std::shared_ptr<const ProviderFactory> make_provider_;
  std::unique_ptr<CoLaNetProvider> provider_;
  std::vector<Item> items_;  // these are of the batch under way
  std::vector<Scored> scored_;
  std::vector<std::string> models_;
  std::string thrown_;
};

/// What several answers to parts of one request come to, in order: the items of each, or as many without
/// values as a part has whose answer is an error. An error when all are.
struct Part {
  int items = 0;
  pool::Settled<v1::Predicted> answer;
};
Result<v1::Predicted> join(std::vector<Part> parts);

}  // namespace cx::inference
