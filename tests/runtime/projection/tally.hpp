#pragma once

#include <atomic>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <unistd.h>

#include "runtime/projection/projection.hpp"
#include "runtime/projection/rocks_sink.hpp"
#include "runtime/projection/sqlite_sink.hpp"
#include "tests/faults/fault_environment.hpp"

namespace cx::test {

/// A made-up projection: how many records each entity has, which shows whatever is left out or counted twice.
class Tally : public Projection {
 public:
  const std::string& name() const override { return name_; }
  std::uint32_t version() const override { return version_; }
  Sink& sink() override { return *sink_; }
  std::optional<Error> project(std::span<const v1::JournalRecord> records) override {
    for (const auto& record : records) {
      if (hook)
        if (auto error = hook(record)) return error;
      if (auto error = count(record.entity())) return error;
      ++projected;
    }
    return std::nullopt;
  }
  /// What is in the sink.
  virtual std::map<std::string, std::int64_t> rows() const = 0;
  /// As after a crash of the process.
  virtual void reopen() = 0;

  bool takes(std::uint32_t shard) const override { return !elsewhere || !elsewhere(shard); }

  std::function<std::optional<Error>(const v1::JournalRecord&)> hook;
  std::function<bool(std::uint32_t shard)> elsewhere;
  std::uint64_t projected = 0;  ///< what was taken back included
  std::uint32_t version_ = 1;
  std::string name_ = "tally";

 protected:
  virtual std::optional<Error> count(const std::string& entity) = 0;
  Sink* sink_ = nullptr;
};

class RocksTally final : public Tally {
 public:
  explicit RocksTally(FaultEnvironment& environment) : environment_(environment) { RocksTally::reopen(); }
  void reopen() override {
    rocks_.reset();
    rocks_ = std::make_unique<RocksSink>("/data/" + name_, environment_.files());
    sink_ = rocks_.get();
  }
  std::map<std::string, std::int64_t> rows() const override {
    std::map<std::string, std::int64_t> out;
    (void)rocks_->scan("", [&](std::string_view key, std::string_view value) {
      out[std::string(key)] = std::stoll(std::string(value));
      return true;
    });
    return out;
  }

 private:
  std::optional<Error> count(const std::string& entity) override {
    const auto before = rocks_->get(entity);
    if (!before) return before.error();
    rocks_->put(entity, std::to_string(*before ? std::stoll(**before) + 1 : 1));
    return std::nullopt;
  }
  FaultEnvironment& environment_;
  std::unique_ptr<RocksSink> rocks_;
};

class SqliteTally final : public Tally {
 public:
  SqliteTally() {
    static std::atomic<int> made{0};
    directory_ = std::filesystem::temp_directory_path() / fmt::format("cx-tally-{}-{}", getpid(), ++made);
    std::filesystem::create_directories(directory_);
    SqliteTally::reopen();
  }
  ~SqliteTally() override {
    sqlite_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string path() const { return (directory_ / "tally.db").string(); }
  void reopen() override {
    sqlite_.reset();
    sqlite_ = std::make_unique<SqliteSink>(
        path(), "CREATE TABLE tally (entity TEXT PRIMARY KEY, n INTEGER NOT NULL)");
    sink_ = sqlite_.get();
  }
  std::map<std::string, std::int64_t> rows() const override {
    std::map<std::string, std::int64_t> out;
    sqlite3* db = nullptr;
    sqlite3_open_v2(path().c_str(), &db, SQLITE_OPEN_READONLY, nullptr);
    const auto add = [](void* to, int, char** columns, char**) {
      (*static_cast<std::map<std::string, std::int64_t>*>(to))[columns[0]] = std::stoll(columns[1]);
      return 0;
    };
    sqlite3_exec(db, "SELECT entity, n FROM tally", add, &out, nullptr);
    sqlite3_close(db);
    return out;
  }

 private:
  std::optional<Error> count(const std::string& entity) override {
    return sqlite_->run("INSERT INTO tally VALUES (?1, 1) ON CONFLICT (entity) DO UPDATE SET n = n + 1",
                        {std::string_view(entity)});
  }
  std::filesystem::path directory_;
  std::unique_ptr<SqliteSink> sqlite_;
};

}  // namespace cx::test
