#include "runtime/environment/environment.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <rocksdb/env.h>
#include <sys/random.h>

namespace cx {
namespace {

/// The kernel's random bits, 256 bytes at a time: that many arrive whole or not at all.
class Entropy {
 public:
  std::uint64_t next() {
    if (used_ == words_.size()) {
      while (getrandom(words_.data(), sizeof words_, 0) != sizeof words_)
        if (errno != EINTR) std::abort();  // a kernel older than any that runs us
      used_ = 0;
    }
    return words_[used_++];
  }

 private:
  std::array<std::uint64_t, 32> words_;
  std::size_t used_ = words_.size();
};

class SystemEnvironment final : public Environment {
 public:
  const Clock& clock() const override { return clock_; }
  std::uint64_t random() override {
    thread_local Entropy entropy;
    return entropy.next();
  }
  rocksdb::Env& files() override { return *rocksdb::Env::Default(); }
  void carry(std::uint32_t, std::uint32_t, std::function<void()> deliver) override { deliver(); }

 private:
  const SystemClock clock_;
};

}  // namespace

Environment& system_environment() {
  static SystemEnvironment environment;
  return environment;
}

}  // namespace cx
