#pragma once

#include <cstdint>
#include <functional>

#include "runtime/clock.hpp"

namespace rocksdb {
class Env;
}

namespace cx {

/// All that the runtime knows of the world: time, chance, files and what lies between two shards. Tests put
/// their own in its place, to decide what time it is, to fail and forget writes, and to lose messages.
/// Thread-safe; outlives the runtime.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual const Clock& clock() const = 0;
  /// 64 random bits.
  virtual std::uint64_t random() = 0;
  /// Where everything durable is written to.
  virtual rocksdb::Env& files() = 0;
  /// Carries a message from one shard to another by calling `deliver`, now or later; a network may also lose
  /// it or deliver it twice. The sender repeats what is not acknowledged.
  virtual void carry(std::uint32_t from, std::uint32_t to, std::function<void()> deliver) = 0;
};

/// The machine that we run on.
Environment& system_environment();

}  // namespace cx
