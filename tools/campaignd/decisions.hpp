#pragma once

#include "actors/decision/board.hpp"
#include "actors/decision/reader.hpp"
#include "cx/v1/config.pb.h"
#include "runtime/entity/kind.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/projection/projector.hpp"

namespace cx {

/// What was bid for customers, and what came of it. Its records are those of customers and of decisions.
class Decisions {
 public:
  struct Parts {
    const v1::NodeConfig& config;
    Environment& environment;
    Journal& journal;
    Executor& executor;  ///< runs what reads files
    Metrics& metrics;
  };
  /// All that is referred to outlives this.
  explicit Decisions(const Parts& parts);

  void add_kinds(Kinds& kinds) const;
  /// Serves what is read; outcomes are reported to an entity, which names its target.
  void serve(Services& services);

  // As of the other projections: see Management.
  void follow(std::uint32_t shard) { projector_.notify(shard); }
  std::uint64_t retain_after(std::uint32_t shard) const { return projector_.retain_after(shard); }
  void tick() { projector_.poll(); }

 private:
  const Parts parts_;
  decision::DecisionBoard board_;
  decision::DecisionReader reader_;
  ThreadPool thread_;
  Projector projector_;
};

}  // namespace cx
