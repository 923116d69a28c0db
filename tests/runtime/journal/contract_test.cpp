// What every home of the journal does; see homes.hpp.

#include <doctest/doctest.h>
#include <limits>
#include <map>
#include <rapidcheck.h>

#include "tests/runtime/journal/homes.hpp"

namespace cx::test {

TEST_CASE_TEMPLATE("a shard that nobody has opened is empty and takes nothing", Home, JOURNAL_HOMES) {
  Home home;
  CHECK(*home.journal().head(7) == Head{0, 1, 0});
  CHECK(records_of(home.journal(), 7).empty());
  CHECK(append_one(home.journal(), append_of(7, {1, 1, 0}, {"x"})) == "fenced");
}

TEST_CASE_TEMPLATE("each opening is a newer epoch, and is remembered", Home, JOURNAL_HOMES) {
  Home home;
  CHECK(open_one(home.journal(), 3) == Head{1, 1, 0});
  CHECK(open_one(home.journal(), 3) == Head{2, 1, 0});
  CHECK(open_one(home.journal(), 3, 9) == Head{9, 1, 0});
  CHECK(open_one(home.journal(), 3, 9) == Head{9, 1, 0});
  const std::uint32_t shards[] = {2, 3};
  const auto results = home.journal().open(shards, 8);
  CHECK(*results[0] == Head{8, 1, 0});
  CHECK(type_of(results[1]) == "fenced");
  home.reopen();
  CHECK(*home.journal().head(3) == Head{9, 1, 0});
  CHECK(open_one(home.journal(), 3).epoch == 10);
  CHECK(open_one(home.journal(), 1023).epoch == 1);
}

TEST_CASE_TEMPLATE("records are numbered without gaps and read from any point", Home, JOURNAL_HOMES) {
  Home home;
  Head head = open_one(home.journal(), 5);
  open_one(home.journal(), 4);
  open_one(home.journal(), 6);
  for (const std::uint32_t neighbour : {4, 6})
    CHECK(append_one(home.journal(), append_of(neighbour, {1, 1, 0}, {"other"})) == "");
  Records all;
  for (int i = 0; i < 300; i += 3) {
    std::vector<std::string> records;
    for (int j = i; j < i + 3; ++j) {
      records.push_back(std::string(static_cast<std::size_t>(j), 'r'));
      all.emplace_back(j + 1, records.back());
    }
    CHECK(append_one(home.journal(), append_of(5, head, records), i % 2 == 0) == "");
    head.last += 3;
  }
  const auto check = [&] {
    CHECK(*home.journal().head(5) == head);
    for (const std::uint64_t after : {0, 1, 150, 299, 300, 400})
      CHECK(records_of(home.journal(), 5, after) ==
            Records(all.begin() + std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(after), 300),
                    all.end()));
    int seen = 0;
    CHECK_FALSE(home.journal().read(5, 10, [&](std::uint64_t, std::string_view) { return ++seen < 4; }));
    CHECK(seen == 4);
    CHECK(records_of(home.journal(), 4) == Records{{1, "other"}});
  };
  check();
  home.reopen();
  check();
}

TEST_CASE_TEMPLATE("a writer whose epoch or sequence is not the shard's is fenced off", Home, JOURNAL_HOMES) {
  Home home;
  const Head old = open_one(home.journal(), 1);
  CHECK(append_one(home.journal(), append_of(1, old, {"a"})) == "");
  const Head now = open_one(home.journal(), 1);
  CHECK(now == Head{2, 1, 1});
  for (const Append& append : {append_of(1, {1, 1, 1}, {"x"}),  // epoch before
                               append_of(1, {3, 1, 1}, {"x"}),  // epoch that nobody opened
                               append_of(1, {2, 1, 0}, {"x"}),  // has missed a record
                               append_of(1, {2, 1, 2}, {"x"}),  // has seen one that is not there
                               append_of(1, {1, 1, 1}, {}, {{Table::meta, "k", "v"}})})  // rows alone, too
    CHECK(append_one(home.journal(), append) == "fenced");
  CHECK(records_of(home.journal(), 1) == Records{{1, "a"}});
  CHECK_FALSE(row_of(home.journal(), Table::meta, 1, "k"));
  CHECK(append_one(home.journal(), append_of(1, now, {"b"})) == "");
}

TEST_CASE_TEMPLATE("a group commits without its fenced members, whole or not at all", Home, JOURNAL_HOMES) {
  Home home;
  const Head head = open_one(home.journal(), 1);
  open_one(home.journal(), 2);
  open_one(home.journal(), 3);
  const Append group[] = {
      append_of(1, head, {"1.1", "1.2"}, {{Table::snapshots, "a", "1"}}),
      append_of(2, {0, 1, 0}, {"no"}, {{Table::snapshots, "a", "no"}, {Table::outbox, "o", "no"}}),
      append_of(3, head, {}, {{Table::meta, "m", "3"}}),
      append_of(1, {head.epoch, 1, 2}, {"1.3"}, {{Table::snapshots, "a", "2"}}),
      append_of(1, {head.epoch, 1, 2}, {"no"}),
  };
  const auto results = home.journal().append(group, true);
  REQUIRE(results.size() == 5);
  const char* wanted[] = {"", "fenced", "", "", "fenced"};
  for (int i = 0; i < 5; ++i) CHECK(type_of(results[i]) == wanted[i]);
  for (int round = 0; round < 2; ++round, home.reopen()) {
    CHECK(records_of(home.journal(), 1) == Records{{1, "1.1"}, {2, "1.2"}, {3, "1.3"}});
    CHECK(row_of(home.journal(), Table::snapshots, 1, "a") == "2");
    CHECK(records_of(home.journal(), 2).empty());
    CHECK(rows_of(home.journal(), Table::snapshots, 2).empty());
    CHECK(rows_of(home.journal(), Table::outbox, 2).empty());
    CHECK(row_of(home.journal(), Table::meta, 3, "m") == "3");
  }
}

TEST_CASE_TEMPLATE("rows are kept by table and shard, in the order of their keys", Home, JOURNAL_HOMES) {
  Home home;
  const Head head = open_one(home.journal(), 256);
  open_one(home.journal(), 1);
  const std::string high = "\xff\xff", zero("\0", 1);
  CHECK(append_one(home.journal(), append_of(256, head, {},
                                             {{Table::outbox, "b", "2"},
                                              {Table::outbox, high, "4"},
                                              {Table::outbox, "a", "1"},
                                              {Table::outbox, "", "0"},
                                              {Table::outbox, zero, ""},
                                              {Table::outbox, "gone", "x"},
                                              {Table::outbox, "gone", std::nullopt},
                                              {Table::reminders, "a", "other"}})) == "");
  CHECK(append_one(home.journal(), append_of(1, head, {}, {{Table::outbox, "a", "shard 1"}})) == "");
  const Rows all = {{"", "0"}, {zero, ""}, {"a", "1"}, {"b", "2"}, {high, "4"}};
  for (int round = 0; round < 2; ++round, home.reopen()) {
    CHECK(rows_of(home.journal(), Table::outbox, 256) == all);
    CHECK(rows_of(home.journal(), Table::outbox, 256, "aa") == Rows(all.begin() + 3, all.end()));
    CHECK(rows_of(home.journal(), Table::reminders, 256) == Rows{{"a", "other"}});
    int seen = 0;
    CHECK_FALSE(home.journal().scan(Table::outbox, 256, "", [&](auto, auto) { return ++seen < 2; }));
    CHECK(seen == 2);
    const RowKey keys[] = {{256, "b"}, {256, "gone"}, {1, "a"}, {2, "a"}, {256, ""}, {256, "b"}};
    const auto values = home.journal().get(Table::outbox, keys);
    const std::optional<std::string> wanted[] = {"2", std::nullopt, "shard 1", std::nullopt, "0", "2"};
    REQUIRE(values.size() == 6);
    for (int i = 0; i < 6; ++i) CHECK(*values[i] == wanted[i]);
  }
}

TEST_CASE_TEMPLATE("truncation forgets what its bases replace, and the log goes on", Home, JOURNAL_HOMES) {
  Home home;
  Head head = open_one(home.journal(), 9);
  CHECK(append_one(home.journal(), append_of(9, head, {"1", "2", "3", "4"})) == "");
  const Write base{Table::bases, "e", "as of 2"};
  CHECK_FALSE(home.journal().truncate(9, 2, std::span(&base, 1)));
  for (int round = 0; round < 2; ++round, home.reopen()) {
    CHECK(*home.journal().head(9) == Head{1, 3, 4});
    CHECK(row_of(home.journal(), Table::bases, 9, "e") == "as of 2");
    CHECK(records_of(home.journal(), 9, 2) == Records{{3, "3"}, {4, "4"}});
    CHECK(records_of(home.journal(), 9, 0) ==
          Records{{3, "3"}, {4, "4"}});  // the oldest that is kept comes first
  }
  CHECK_FALSE(home.journal().truncate(9, 1, {}));  // gone already
  CHECK(home.journal().head(9)->first == 3);
  CHECK_FALSE(home.journal().truncate(9, 4, {}));
  CHECK(*home.journal().head(9) == Head{1, 5, 4});
  home.reopen();
  head = open_one(home.journal(), 9);
  CHECK(head == Head{2, 5, 4});
  CHECK(records_of(home.journal(), 9).empty());
  CHECK(append_one(home.journal(), append_of(9, head, {"5"})) == "");
  home.reopen();
  CHECK(records_of(home.journal(), 9) == Records{{5, "5"}});
}

TEST_CASE_TEMPLATE("records and rows may be of any size and bytes", Home, JOURNAL_HOMES) {
  Home home;
  const Head head = open_one(home.journal(), 1);
  const std::string huge(5'000'000, '\xee');
  const std::string zeros(100'000, '\0');
  CHECK(append_one(home.journal(), append_of(1, head, {huge, "", zeros}, {{Table::meta, zeros, huge}})) ==
        "");
  home.reopen();
  CHECK(records_of(home.journal(), 1) == Records{{1, huge}, {2, ""}, {3, zeros}});
  CHECK(row_of(home.journal(), Table::meta, 1, zeros) == huge);
}

TEST_CASE_TEMPLATE("what is written is counted", Home, JOURNAL_HOMES) {
  Home home;
  const Head head = open_one(home.journal(), 1);
  const std::uint64_t before = home.journal().bytes_written();
  CHECK(append_one(home.journal(), append_of(1, head, {std::string(1000, 'x')})) == "");
  CHECK(home.journal().bytes_written() >= before + 1000);
  CHECK(home.journal().bytes_written() < before + 1100);
}

namespace {

/// What a journal should hold.
struct Model {
  struct Shard {
    Head head;
    std::map<std::uint64_t, std::string> log;
    std::map<std::string, std::string> rows[kTables];
  };
  std::map<std::uint32_t, Shard> shards;

  bool append(const Append& append) {
    Shard& shard = shards[append.shard];
    if (append.epoch != shard.head.epoch || append.after != shard.head.last) return false;
    for (const auto& record : append.records) shard.log[++shard.head.last] = record;
    put(shard, append.writes);
    return true;
  }
  void truncate(std::uint32_t index, std::uint64_t upto, std::span<const Write> bases) {
    Shard& shard = shards[index];
    put(shard, bases);
    shard.head.first = std::max(shard.head.first, std::min(upto, shard.head.last) + 1);
    shard.log.erase(shard.log.begin(), shard.log.lower_bound(shard.head.first));
  }
  static void put(Shard& shard, std::span<const Write> writes) {
    for (const auto& [table, key, value] : writes) {
      auto& rows = shard.rows[static_cast<std::size_t>(table)];
      if (value)
        rows[key] = *value;
      else
        rows.erase(key);
    }
  }
};

std::vector<Write> some_writes() {
  std::vector<Write> writes;
  for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
    const auto table = static_cast<Table>(*rc::gen::inRange(0, static_cast<int>(kTables)));
    writes.push_back({table, std::string(1, *rc::gen::inRange('a', 'f')), std::nullopt});
    if (*rc::gen::inRange(0, 3) > 0) writes.back().value = *rc::gen::arbitrary<std::string>();
  }
  return writes;
}

constexpr std::uint32_t kModelled = 4;

/// Most of them in their place behind the rest of the group.
Append some_append(std::uint32_t shard, Model model, const std::vector<Append>& group) {
  for (const auto& before : group) model.append(before);
  Head head = model.shards[shard].head;
  if (*rc::gen::inRange(0, 8) == 0) head.epoch += *rc::gen::element(-1, 1);
  if (*rc::gen::inRange(0, 8) == 0) head.last += *rc::gen::element(-1, 1);
  return append_of(shard, head, *rc::gen::resize(4, rc::gen::arbitrary<std::vector<std::string>>()),
                   some_writes());
}

template <class Home>
void compare(Home& home, const Model& model) {
  for (const auto& [index, shard] : model.shards) {
    RC_ASSERT(*home.journal().head(index) == shard.head);
    const std::uint64_t after = *rc::gen::inRange<std::uint64_t>(0, shard.head.last + 2);
    RC_ASSERT(records_of(home.journal(), index, after) ==
              Records(shard.log.upper_bound(after), shard.log.end()));
    for (std::size_t table = 0; table < kTables; ++table)
      RC_ASSERT(rows_of(home.journal(), static_cast<Table>(table), index) ==
                Rows(shard.rows[table].begin(), shard.rows[table].end()));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("a journal holds what a map would, whatever is done to it", Home, JOURNAL_HOMES) {
  std::optional<Home> home;
  std::uint32_t base = kShards;
  int examples = 0;
  const bool holds = rc::check([&] {
    if (++examples > Home::kExamples) return;
    if (base += kModelled; base + kModelled > kShards)
      home.emplace(), base = 0;  // shards that nobody has used
    Model model;
    const auto some_shard = [&] { return base + *rc::gen::inRange(0U, kModelled); };
    for (int step = *rc::gen::inRange(1, 40); step > 0; --step) {
      switch (*rc::gen::inRange(0, 24)) {
        case 0:
          home->reopen();
          break;
        case 1:
          compare(*home, model);
          break;
        case 2:
        case 3:
        case 4: {
          const std::uint32_t shard = some_shard();
          const auto epoch = ++model.shards[shard].head.epoch;
          RC_ASSERT(open_one(home->journal(), shard).epoch == epoch);
          break;
        }
        case 5:
        case 6: {
          const std::uint32_t shard = some_shard();
          const std::uint64_t upto = *rc::gen::inRange<std::uint64_t>(0, model.shards[shard].head.last + 2);
          const auto bases = some_writes();
          RC_ASSERT(type_of(home->journal().truncate(shard, upto, bases)) == "");
          model.truncate(shard, upto, bases);
          break;
        }
        default: {
          std::vector<Append> group;
          for (int n = *rc::gen::inRange(1, 5); n > 0; --n)
            group.push_back(some_append(some_shard(), model, group));
          const auto results = home->journal().append(group, *rc::gen::arbitrary<bool>());
          for (std::size_t i = 0; i < group.size(); ++i)
            RC_ASSERT(type_of(results[i]) == (model.append(group[i]) ? "" : "fenced"));
        }
      }
    }
    compare(*home, model);
    home->reopen();
    compare(*home, model);
  });
  CHECK(holds);
}

TEST_CASE("keys sort as their numbers do") {
  const std::int64_t dues[] = {
      std::numeric_limits<std::int64_t>::min(), -1, 0, 1, 255, 256, 1'700'000'000'000,
      std::numeric_limits<std::int64_t>::max()};
  for (std::size_t i = 0; i < std::size(dues); ++i) {
    CHECK(key_number(reminder_key(dues[i], "e", "n")) == dues[i]);
    if (i > 0) CHECK(reminder_key(dues[i - 1], "z", "z") < reminder_key(dues[i], "a", "a"));
  }
  CHECK(reminder_key(1, "a", "bc") != reminder_key(1, "ab", "c"));
  CHECK(key_number(outbox_key(77, 3)) == 77);
  CHECK(outbox_key(77, 3) < outbox_key(77, 256));
  CHECK(outbox_key(77, 256) < outbox_key(256, 0));
}

}  // namespace cx::test
