#include "runtime/entity/history.hpp"

#include <doctest/doctest.h>
#include <map>

#include "cx/v1/customer.pb.h"
#include "runtime/address.hpp"
#include "runtime/entity/kind_of.hpp"

namespace cx {
namespace {

/// A made-up kind: adds up, and starts with the length of its address. It borrows messages of the contract.
/// Events of its first schema counted in tens.
struct Tally {
  static constexpr std::string_view kName = "tally";
  static constexpr std::uint32_t kSchema = 2;
  using State = v1::FrequencyCap;
  using Event = v1::ImpressionsReserved;
  using Commands = std::tuple<v1::ReserveImpressions>;

  State initial(std::string_view address) const {
    State state;
    state.set_per_day(static_cast<std::uint32_t>(address.size()));
    return state;
  }
  Outcome<Event, NoReply> handle(const State&, const v1::ReserveImpressions&, const Context&) const {
    return {};
  }
  static void apply(State& state, const Event& event) {
    state.set_per_hour(state.per_hour() * 2 + event.count());
  }
  static Result<State> upcast_state(std::uint32_t, std::string_view bytes) {
    State state;
    state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return state;
  }
  static Result<Event> upcast_event(std::uint32_t, std::string_view bytes) {
    Event event;
    event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    event.set_count(event.count() * 10);
    return event;
  }
};

/// As much of a journal as history reads.
class FakeJournal final : public Journal {
 public:
  std::vector<Result<Head>> open(std::span<const std::uint32_t>, std::optional<std::uint64_t>) override {
    return {};
  }
  std::vector<std::optional<Error>> append(std::span<const Append>, bool) override { return {}; }
  std::optional<Error> sync() override { return {}; }
  Result<Head> head(std::uint32_t) const override { return Head{}; }
  std::optional<Error> scan(Table, std::uint32_t, std::string_view, const VisitRow&) const override {
    return {};
  }
  std::uint64_t bytes_written() const override { return 0; }

  std::optional<Error> read(std::uint32_t shard, std::uint64_t after,
                            const VisitRecord& visit) const override {
    if (failure) return failure;
    for (const auto& [at, record] : records)
      if (at.first == shard && at.second > after && !visit(at.second, record)) break;
    return {};
  }
  std::vector<Result<std::optional<std::string>>> get(Table table,
                                                      std::span<const RowKey> keys) const override {
    REQUIRE(table == Table::bases);
    std::vector<Result<std::optional<std::string>>> rows;
    for (const auto& [shard, key] : keys) {
      const auto found = bases.find({shard, std::string(key)});
      rows.emplace_back(found == bases.end() ? std::nullopt : std::optional(found->second));
    }
    return rows;
  }
  std::optional<Error> truncate(std::uint32_t shard, std::uint64_t upto,
                                std::span<const Write> writes) override {
    std::erase_if(records, [&](const auto& r) { return r.first.first == shard && r.first.second <= upto; });
    for (const auto& write : writes) bases[{shard, write.key}] = *write.value;
    return {};
  }

  std::map<std::pair<std::uint32_t, std::uint64_t>, std::string> records;
  std::map<std::pair<std::uint32_t, std::string>, std::string> bases;
  std::optional<Error> failure;
};

const std::string kMine = "tally/demo/mine", kOther = "tally/demo/mine-too";

/// A shard that holds the records of two entities.
struct Fixture {
  Fixture() { kinds.add(make_kind(Tally{})); }

  v1::JournalRecord record(const std::string& entity, std::int64_t now, std::uint32_t count) {
    v1::JournalRecord made;
    made.set_shard(shard);
    made.set_sequence(++last);
    made.set_entity(entity);
    made.set_now(now);
    made.set_schema(2);
    made.mutable_command()->set_type("cx.v1.ReserveImpressions");
    v1::ImpressionsReserved event;
    event.set_count(count);
    made.add_events(event.SerializeAsString());
    return made;
  }
  void write(const v1::JournalRecord& made) {
    journal.records[{shard, made.sequence()}] = made.SerializeAsString();
  }
  void add(std::int64_t now, std::uint32_t count) { write(record(kMine, now, count)); }

  HistoryPage page(const HistoryQuery& query) {
    auto found = history(journal, kinds, kMine, query);
    REQUIRE(found);
    return std::move(*found);
  }
  std::vector<std::uint64_t> sequences(const HistoryQuery& query) {
    std::vector<std::uint64_t> all;
    for (const auto& found : page(query).records) all.push_back(found.sequence());
    return all;
  }
  Past past(const Moment& moment) {
    auto found = past_of(journal, kinds, kMine, moment);
    REQUIRE(found);
    return std::move(*found);
  }
  std::uint32_t sum(const Moment& moment) {
    return static_cast<const v1::FrequencyCap&>(past(moment).entity->state()).per_hour();
  }
  void truncate(std::uint64_t upto, std::int64_t at, std::uint32_t sum) {
    v1::Snapshot base;
    base.set_entity(kMine);
    base.set_sequence(upto);
    base.set_at(at);
    base.set_schema(2);
    v1::FrequencyCap state;
    state.set_per_hour(sum);
    base.set_state(state.SerializeAsString());
    auto& reminder = *base.add_reminders();
    reminder.set_name("kept");
    reminder.set_due(9'000);
    const Write row{Table::bases, kMine, base.SerializeAsString()};
    journal.truncate(shard, upto, {&row, 1});
  }

  FakeJournal journal;
  Kinds kinds;
  const std::uint32_t shard = shard_of("demo", "mine");
  std::uint64_t last = 0;
};

using Sequences = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a history has the entity's own records, the newest last") {
  for (int i = 1; i <= 4; ++i) {
    add(1'000 * i, 1);
    write(record(kOther, 1'000 * i, 1));
    auto mentions = record(kOther, 1'000 * i, 1);
    mentions.add_outbox()->set_to(kMine);
    write(mentions);
  }
  CHECK(sequences({}) == Sequences{1, 4, 7, 10});
  CHECK(page({}).next == 0);
  CHECK(page({}).forgotten == 0);
  CHECK(page({}).records[1].now() == 2'000);
}

TEST_CASE_FIXTURE(Fixture, "pages follow each other without a gap, whatever their size") {
  for (int i = 0; i < 7; ++i) {
    write(record(kOther, 1'000, 1));
    add(1'000, 1);
  }
  const auto all = sequences({});
  for (std::size_t limit = 1; limit <= 8; ++limit) {
    CAPTURE(limit);
    Sequences seen;
    HistoryQuery query{.limit = limit};
    do {
      const auto found = page(query);
      CHECK(found.records.size() <= limit);
      for (const auto& one : found.records) seen.push_back(one.sequence());
      query.after = found.next;
    } while (query.after != 0);
    CHECK(seen == all);
  }
}

TEST_CASE_FIXTURE(Fixture, "a history may be cut to a stretch of time") {
  for (int i = 1; i <= 5; ++i) add(1'000 * i, 1);
  CHECK(sequences({.since = 3'000}) == Sequences{3, 4, 5});
  CHECK(sequences({.until = 3'000}) == Sequences{1, 2});
  CHECK(sequences({.since = 2'000, .until = 4'000}) == Sequences{2, 3});
  CHECK(sequences({.after = 2, .limit = 1, .since = 2'000, .until = 4'000}) == Sequences{3});
  CHECK(page({.limit = 2, .until = 3'000}).next == 0);
}

TEST_CASE_FIXTURE(Fixture, "the past is folded from the records up to then, in order") {
  add(1'000, 1);
  write(record(kOther, 1'500, 7));
  add(2'000, 2);
  auto old = record(kMine, 3'000, 3);
  old.set_schema(1);
  write(old);
  CHECK(sum({}) == (1 * 2 + 2) * 2 + 30);
  CHECK(sum({.time = 3'000}) == 38);
  CHECK(sum({.time = 2'999}) == 4);
  CHECK(sum({.time = 1'000}) == 1);
  CHECK(sum({.sequence = 3}) == 4);
  CHECK(sum({.sequence = 2}) == 1);
  CHECK(past({.time = 2'500}).sequence == 3);
  CHECK(past({.time = 2'500}).at == 2'000);

  const auto before = past({.time = 999});
  CHECK(before.sequence == 0);
  CHECK(static_cast<const v1::FrequencyCap&>(before.entity->state()).per_day() == kMine.size());
}

TEST_CASE_FIXTURE(Fixture, "a clock that went back does not tear a run of records apart") {
  add(1'000, 1);
  add(3'000, 2);
  add(2'000, 3);
  CHECK(sum({.time = 2'500}) == 1);
  CHECK(sum({.time = 3'000}) == 11);
}

TEST_CASE_FIXTURE(Fixture, "reminders are those that were set by then") {
  auto set = record(kMine, 1'000, 1);
  set.add_reminders()->set_name("a");
  set.mutable_reminders(0)->set_due(5'000);
  set.add_reminders()->set_name("b");
  write(set);
  auto fired = record(kMine, 2'000, 1);
  fired.add_cleared("a");
  write(fired);
  CHECK(past({.time = 1'000}).extras.reminders.size() == 2);
  CHECK(past({.time = 1'000}).extras.due("a") == 5'000);
  REQUIRE(past({}).extras.reminders.size() == 1);
  CHECK(past({}).extras.reminders[0].name == "b");
}

TEST_CASE_FIXTURE(Fixture, "a base stands for what truncation took away, and nothing older is left") {
  for (int i = 1; i <= 4; ++i) add(1'000 * i, 1);
  const auto whole = sum({});
  truncate(2, 2'500, 3);
  CHECK(page({}).forgotten == 2);
  CHECK(sequences({}) == Sequences{3, 4});
  CHECK(sum({}) == whole);
  CHECK(sum({.time = 2'500}) == 3);
  CHECK(sum({.sequence = 3}) == 7);
  CHECK(past({.time = 2'500}).sequence == 2);
  CHECK(past({}).extras.due("kept") == 9'000);
  for (const Moment& moment : {Moment{.time = 2'499}, Moment{.sequence = 1}}) {
    const auto gone = past_of(journal, kinds, kMine, moment);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == Code::not_found);
    CHECK(gone.error().type == "not-retained");
    CHECK(gone.error().detail.find("1970-01-01T00:00:02.500Z") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "a base that is newer than the oldest records is not overtaken by them") {
  for (int i = 1; i <= 4; ++i) add(1'000 * i, 1);
  truncate(3, 3'000, 7);
  journal.records[{shard, 3}] = record(kMine, 3'000, 1).SerializeAsString();
  CHECK(sum({}) == 15);
}

TEST_CASE_FIXTURE(Fixture, "what cannot be read or found is an error, not a guess") {
  CHECK(history(journal, kinds, "tally/demo", {}).error().type == "invalid-address");
  const auto unknown = past_of(journal, kinds, "taly/demo/x", {});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == Code::not_found);
  CHECK(unknown.error().detail.find("tally") != std::string::npos);

  CHECK(page({}).records.empty());
  CHECK(past({}).sequence == 0);

  auto newer = record(kMine, 1'000, 1);
  newer.set_schema(3);
  write(newer);
  CHECK(page({}).records.size() == 1);
  CHECK(past_of(journal, kinds, kMine, {}).error().type == "corrupt");

  journal.records[{shard, 2}] = "\xff" + kMine;
  CHECK(history(journal, kinds, kMine, {}).error().type == "corrupt");
  journal.bases[{shard, kMine}] = "\xff";
  CHECK(past_of(journal, kinds, kMine, {}).error().type == "corrupt");
  journal.bases.clear();
  journal.failure = Error{Code::unavailable, "storage-failed", "", ""};
  CHECK(history(journal, kinds, kMine, {}).error().type == "storage-failed");
  CHECK(past_of(journal, kinds, kMine, {}).error().type == "storage-failed");
}

}  // namespace cx
