#include "runtime/journal/replica.hpp"

#include <doctest/doctest.h>

#include "tests/runtime/journal/homes.hpp"

namespace cx::test {
namespace {

constexpr std::uint32_t kShard = 7;

LogMessage opened(std::uint64_t sequence, std::uint64_t previous, std::uint64_t epoch,
                  std::uint64_t after = 0) {
  LogMessage message{kShard, sequence, {}, 10};
  message.entry.set_previous(previous);
  message.entry.set_epoch(epoch);
  message.entry.set_after(after);
  message.entry.set_opened(true);
  return message;
}

LogMessage commit(std::uint64_t sequence, std::uint64_t previous, std::uint64_t epoch, std::uint64_t after,
                  const std::vector<std::string>& records) {
  LogMessage message{kShard, sequence, {}, 10};
  message.entry.set_previous(previous);
  message.entry.set_epoch(epoch);
  message.entry.set_after(after);
  message.entry.set_attempt(sequence);
  for (const auto& record : records) message.entry.mutable_commit()->add_records(record);
  auto& row = *message.entry.mutable_commit()->add_writes();
  row.set_table(static_cast<std::uint32_t>(Table::meta));
  row.set_key("at");
  row.set_value(std::to_string(sequence));
  return message;
}

/// `whole` in parts of which each is a message.
std::vector<LogMessage> in_parts(const LogMessage& whole, std::uint32_t parts) {
  const std::string bytes = whole.entry.SerializeAsString();
  const std::size_t slice = (bytes.size() + parts - 1) / parts;
  std::vector<LogMessage> messages;
  for (std::uint32_t part = 0; part < parts; ++part) {
    auto& message = messages.emplace_back(LogMessage{kShard, whole.sequence + part, {}, 10});
    message.entry.set_previous(part == 0 ? whole.entry.previous() : whole.sequence + part - 1);
    message.entry.set_epoch(whole.entry.epoch());
    message.entry.set_after(whole.entry.after());
    message.entry.set_attempt(whole.entry.attempt());
    message.entry.set_part(part);
    message.entry.set_parts(parts);
    message.entry.set_slice(bytes.substr(part * slice, slice));
  }
  return messages;
}

struct Copy {
  FaultEnvironment environment;
  std::unique_ptr<Replica> replica;
  Copy() { reopen(); }
  void reopen() {
    replica.reset();
    auto opened = Replica::open("/copy", environment);
    REQUIRE(opened);
    replica = std::move(*opened);
  }
  Replica::Taken take(const std::vector<LogMessage>& messages, std::uint64_t through = 0) {
    return replica->take(messages, through == 0 ? std::nullopt : std::optional(Replica::Through{through, 1}));
  }
  Records records() { return records_of(replica->rocks(), kShard); }
};

}  // namespace

TEST_CASE("a copy takes each message once, and remembers over restarts what it has") {
  Copy copy;
  const std::vector<LogMessage> log = {opened(2, 0, 1), commit(3, 2, 1, 0, {"a", "b"}),
                                       commit(5, 3, 1, 2, {"c"}), opened(9, 5, 4, 3)};
  for (int round = 0; round < 3; ++round) {
    const auto taken = copy.take(log, 9);
    CHECK(taken.gaps.empty());
    CHECK(type_of(taken.error) == "");
    CHECK(copy.records() == Records{{1, "a"}, {2, "b"}, {3, "c"}});
    CHECK(row_of(copy.replica->rocks(), Table::meta, kShard, "at") == "5");
    CHECK(copy.replica->place(kShard).head == Head{4, 1, 3});
    CHECK(copy.replica->place(kShard).seen == 9);
    CHECK(copy.replica->through() == Replica::Through{9, 1});
    CHECK(rows_of(copy.replica->rocks(), Table::meta, kShard).size() == 1);  // its own rows are not a shard's
    if (round == 1) copy.reopen();
  }
}

TEST_CASE("a message that follows one that is missing is left out, and the shard named") {
  Copy copy;
  auto taken = copy.take({opened(2, 0, 1), commit(7, 5, 1, 0, {"b"}), commit(8, 7, 1, 1, {"c"})}, 8);
  CHECK(taken.gaps == std::vector<std::uint32_t>{kShard});
  CHECK(copy.records().empty());
  CHECK(copy.replica->through().sequence == 0);
  CHECK(type_of(copy.replica->damage(kShard)) == "");
  taken = copy.take({commit(5, 2, 1, 0, {}), commit(7, 5, 1, 0, {"b"}), commit(8, 7, 1, 1, {"c"})}, 8);
  CHECK(taken.gaps.empty());
  CHECK(copy.records() == Records{{1, "b"}, {2, "c"}});
}

TEST_CASE("a stream that is not the one that was read is noticed, and the copy made anew at the next start") {
  const std::vector<std::vector<LogMessage>> others = {
      {commit(9, 3, 1, 0, {"x"})},   // went on from an earlier message
      {commit(9, 5, 0, 2, {"x"})},   // an older epoch
      {commit(9, 5, 1, 1, {"x"})}};  // other records
  for (const auto& other : others) {
    Copy copy;
    copy.take({opened(3, 0, 1), commit(5, 3, 1, 0, {"a", "b"})}, 5);
    copy.take(other);
    CHECK(type_of(copy.replica->damage(kShard)) == "corrupt");
    CHECK(copy.records() == Records{{1, "a"}, {2, "b"}});
    CHECK(copy.replica->damage(kShard + 1) == std::nullopt);
    copy.reopen();
    CHECK(copy.replica->damage(kShard) == std::nullopt);
    CHECK(copy.replica->through().sequence == 0);
    CHECK(copy.records().empty());
  }
}

TEST_CASE("a message in parts counts when the last one has come, and is void when another comes between") {
  const auto parts = in_parts(commit(10, 2, 1, 0, {std::string(1000, 'x'), "y"}), 5);
  SUBCASE("whole") {
    for (const std::size_t restart : {0U, 1U, 3U, 5U}) {
      Copy copy;
      copy.take({opened(2, 0, 1)}, 2);
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i == restart) {
          copy.reopen();
          CHECK(copy.replica->through().sequence == 2);  // it has to be read from there
          copy.take({parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(i)}, 10 + i);
        }
        copy.take({parts[i]}, parts[i].sequence);
        CHECK(copy.records().size() == (i == 4 ? 2 : 0));
      }
      CHECK(copy.replica->through().sequence == 14);
      copy.reopen();
      CHECK(copy.records() == Records{{1, std::string(1000, 'x')}, {2, "y"}});
    }
  }
  SUBCASE("void") {
    Copy copy;
    copy.take({opened(2, 0, 1), parts[0], parts[1], opened(12, 11, 2)}, 12);
    copy.take({commit(13, 12, 2, 0, {"b"})}, 13);
    CHECK(copy.records() == Records{{1, "b"}});
    CHECK(copy.replica->through().sequence == 13);
  }
  SUBCASE("a later part of another") {
    Copy copy;
    auto wrong = parts[2];
    wrong.sequence = 12;
    wrong.entry.set_attempt(99);
    copy.take({opened(2, 0, 1), parts[0], parts[1], wrong}, 12);
    CHECK(copy.records().empty());
    CHECK(copy.replica->place(kShard).seen == 12);
  }
}

TEST_CASE("what a loss of power takes from a copy is whole messages, the newest") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Copy copy;
    std::vector<LogMessage> log = {opened(1, 0, 1)};
    for (std::uint64_t i = 2; i < 60; ++i) log.push_back(commit(i, i - 1, 1, i - 2, {std::to_string(i)}));
    for (const auto& message : log) copy.take({message}, message.sequence);
    copy.environment.disk().lose_power();
    copy.replica.reset();
    copy.environment.disk().restore_power(seed);
    copy.reopen();
    const auto place = copy.replica->place(kShard);
    CHECK(place.applied == copy.replica->through().sequence);
    CHECK(copy.records().size() == (place.applied < 2 ? 0 : place.applied - 1));
    if (place.applied > 1)
      CHECK(row_of(copy.replica->rocks(), Table::meta, kShard, "at") == std::to_string(place.applied));
    copy.take(log, 59);
    CHECK(copy.records().size() == 58);
  }
}

TEST_CASE("a disk that fails stops the copy until it has looked again") {
  Copy copy;
  copy.take({opened(1, 0, 1), commit(2, 1, 1, 0, {"a"})}, 2);
  copy.environment.disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::no_space, 0, true});
  CHECK(type_of(copy.take({commit(3, 2, 1, 1, {"b"})}, 3).error) != "");
  CHECK(copy.replica->failed());
  CHECK(type_of(copy.replica->damage(kShard)) != "");
  CHECK(type_of(copy.take({commit(4, 3, 1, 2, {"c"})}, 4).error) != "");
  copy.environment.disk().heal();
  CHECK(type_of(copy.replica->reload()) == "");
  CHECK(copy.replica->through().sequence == 2);
  copy.take({commit(3, 2, 1, 1, {"b"}), commit(4, 3, 1, 2, {"c"})}, 4);
  CHECK(copy.records() == Records{{1, "a"}, {2, "b"}, {3, "c"}});
}

TEST_CASE("an image is all of a shard as of one moment, and restores to the same") {
  Copy from, to;
  from.take({opened(1, 0, 3), commit(2, 1, 3, 0, {"a", std::string(600'000, 'b'), "c"}),
             commit(4, 2, 3, 3, {std::string(400'000, 'd')})},
            4);
  to.take({opened(1, 0, 3), commit(2, 1, 3, 0, {"stale"})}, 2);
  std::vector<v1::CheckpointPart> pieces;
  auto image = from.replica->image(kShard, [&](v1::CheckpointPart&& piece) {
    if (pieces.empty()) from.take({commit(6, 4, 3, 4, {"later"})}, 6);  // is not in it
    pieces.push_back(std::move(piece));
    return std::optional<Error>();
  });
  REQUIRE(image);
  CHECK(image->upto() == 4);
  CHECK(image->last() == 4);
  CHECK(pieces.size() >= 3);
  CHECK(type_of(to.replica->begin_restore(kShard, image->first())) == "");
  CHECK(type_of(to.replica->restore(pieces[0])) == "");
  CHECK(type_of(to.replica->damage(kShard)) == "unavailable");
  to.reopen();  // in the middle of it
  CHECK(to.replica->place(kShard).applied == 0);
  CHECK(type_of(to.replica->begin_restore(kShard, image->first())) == "");
  for (const auto& piece : pieces) CHECK(type_of(to.replica->restore(piece)) == "");
  CHECK(type_of(to.replica->end_restore(*image, 1)) == "");
  for (int round = 0; round < 2; ++round, to.reopen()) {
    CHECK(to.records().size() == 4);
    CHECK(to.replica->place(kShard).head == Head{3, 1, 4});
    CHECK(row_of(to.replica->rocks(), Table::meta, kShard, "at") == "4");
  }
  to.take({commit(6, 4, 3, 4, {"later"})}, 6);
  CHECK(to.records() == from.records());
}

}  // namespace cx::test
