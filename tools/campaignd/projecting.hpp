#pragma once

#include "cx/v1/config.pb.h"
#include "runtime/projection/projector.hpp"

namespace cx {

/// Of the threads that project. Lists and archives may lag, but nobody who asks or decides may wait for them:
/// nor for a lock of the store that a thread with hardly any time holds, so that it is only a little nicer
/// than they are.
inline constexpr int kProjectingNiceness = 3;

/// How this node's projections run.
inline ProjectorOptions projector_options(const v1::NodeConfig& config, std::chrono::milliseconds gather) {
  ProjectorOptions options;
  options.sync_journal = config.journal().fsync() != "always";
  options.gather = gather;
  options.sync_every = std::chrono::seconds(10);
  return options;
}

}  // namespace cx
