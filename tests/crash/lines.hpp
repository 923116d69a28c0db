#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "runtime/entity/entities.hpp"
#include "tests/crash/machine.hpp"

namespace cx::test {

/// Writes lines to stdout on a thread of its own, so that no actor waits for the reader. Thread-safe.
class Output {
 public:
  Output() : thread_([this] { run(); }) {}
  ~Output();
  void line(std::string_view text);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string lines_;  // guarded by mutex_, as is the next
  bool stop_ = false;
  std::thread thread_;
};

/// What a node understands; README.md lists it. One thread calls it, answers come on any.
class Lines {
 public:
  Lines(Entities& entities, Journal& journal, Machine& machine, Output& output)
      : entities_(entities), journal_(journal), machine_(machine), output_(output) {}
  void handle(const std::string& line);

 private:
  void command(const std::string& tag, std::istream& rest);
  void inspect(const std::string& tag, const std::string& address);
  void status(const std::string& tag);
  void dump(const std::string& tag);
  void cut(const std::string& tag, std::uint32_t shard, std::uint64_t upto);
  void disk(const std::string& tag, const std::string& verb);

  void ok(const std::string& tag, std::string_view text);
  void refused(const std::string& tag, const Error& error);

  Entities& entities_;
  Journal& journal_;
  Machine& machine_;
  Output& output_;
};

}  // namespace cx::test
