#include "actors/decision/board.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <map>
#include <string>

#include "actors/campaign/timing.hpp"
#include "actors/decision/decision.hpp"
#include "actors/decision/id.hpp"
#include "actors/decision/reader.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx::decision {
namespace {

constexpr std::int64_t kHour = 3'600'000, kKept = 48 * kHour;

/// The log of bids and outcomes, and what is read of it.
struct World {
  test::Log log;
  DecisionBoard board{"/data/decisions", log.environment.files(), kKept};
  DecisionReader reader{board.rows(), log.environment.clock(), kKept};
  std::unique_ptr<Projector> projector = log.projector(board);
  std::uint64_t random = 0;

  std::int64_t now() const { return log.environment.clock().unix_ms(); }
  void wait(std::int64_t ms) { log.environment.set_clock().advance(ms); }
  void project() { log.project(*projector); }

  /// A bid for each offer; answers the id of the first.
  std::string decide(const std::string& customer, const std::vector<std::string>& offers,
                     const std::string& tenant = "acme") {
    v1::RecordDecisions made;
    ++random;
    made.set_id(uuid7(now(), random, random << 2));
    made.set_currency("EUR");
    made.set_model("cpu/test@1");
    for (const auto& offer : offers) {
      auto& bid = *made.add_bids();
      bid.set_offer_id(offer);
      bid.set_campaign_id("c");
      bid.set_score(0.25F);
      bid.set_price_micros(2'500'000);
      bid.set_candidates(7);
      bid.set_features(std::string("\x7f\x00\x81", 3));
    }
    append("customer/" + tenant + '/' + customer, made, "an event");
    return id_of(made.id(), 0);
  }
  void tell(const std::string& id, v1::Outcome outcome, const std::string& outcome_id = "",
            const std::string& tenant = "acme") {
    v1::DecisionEvent event;
    event.mutable_outcome()->set_outcome(outcome);
    event.mutable_outcome()->set_outcome_id(outcome_id);
    event.mutable_outcome()->set_at(now());
    append("decision/" + tenant + '/' + id, v1::ReportOutcome(), event.SerializeAsString());
  }
  void append(const std::string& address, const Message& command, const std::string& event) {
    const auto parsed = parse_address(address);
    const auto shard = shard_of(parsed->tenant, parsed->key);
    v1::JournalRecord record;
    record.set_shard(shard);
    record.set_sequence(log.heads[shard].last + 1);
    record.set_entity(address);
    record.set_now(now());
    record.mutable_command()->set_type(command.GetTypeName());
    record.mutable_command()->set_bytes(serialize(command));
    record.add_events(event);
    const Append append{
        shard, log.heads[shard].epoch, log.heads[shard].last++, {record.SerializeAsString()}, {}};
    REQUIRE(!log.journal->append({&append, 1}, true).front());
  }
  Result<v1::Decision> get(const std::string& id, const std::string& tenant = "acme") {
    v1::GetDecision request;
    request.set_decision_id(id);
    return reader.get(tenant, request);
  }
  std::vector<std::string> list(v1::ListDecisions request = {}, const std::string& tenant = "acme") {
    std::vector<std::string> ids;
    for (int pages = 0; pages < 1'000; ++pages) {
      const auto page = reader.list(tenant, request);
      if (!page) FAIL(page.error().detail);
      for (const auto& one : page->decisions()) ids.push_back(one.decision_id());
      if (page->next_page_token().empty()) return ids;
      request.set_page_token(page->next_page_token());
    }
    FAIL("a list without an end");
    return ids;
  }
  std::size_t rows() const {
    std::size_t n = 0;
    CHECK(!board.rows().scan("", [&](auto, auto) { return ++n; }));
    return n;
  }
};

std::vector<std::string> reversed(std::vector<std::string> ids) {
  std::reverse(ids.begin(), ids.end());
  return ids;
}

}  // namespace

TEST_CASE("a decision is shown with what it went by and what came of it, whichever came first") {
  World w;
  const auto id = w.decide("u-1", {"a", "b"});
  auto second = id;
  second.back() = '2';
  w.tell(id, v1::OUTCOME_CONVERSION, "order-2");
  w.tell(id, v1::OUTCOME_CLICK);
  w.tell(id, v1::OUTCOME_CONVERSION, "order-1");
  const auto early = id_of(uuid7(w.now() + 1, 5, 5), 0);
  w.tell(early, v1::OUTCOME_CLICK);
  w.project();
  const auto one = w.get(id);
  REQUIRE(one);
  CHECK(one->decision_id() == id);
  CHECK(campaign::ms_of(one->decided_at()) == *decided_at(id));
  CHECK(one->customer_id() == "u-1");
  CHECK(one->offer_id() == "a");
  CHECK(one->score() == 0.25F);
  CHECK(one->price().micros() == 2'500'000);
  CHECK(one->price().currency() == "EUR");
  CHECK(one->model() == "cpu/test@1");
  CHECK(one->candidates() == 7);
  CHECK(one->features() == std::string("\x7f\x00\x81", 3));
  REQUIRE(one->outcomes_size() == 3);
  CHECK(one->outcomes(0).outcome() == v1::OUTCOME_CLICK);
  CHECK(one->outcomes(1).outcome_id() == "order-1");
  CHECK(one->outcomes(2).outcome_id() == "order-2");
  CHECK(w.get(second)->offer_id() == "b");
  CHECK(w.get(second)->outcomes_size() == 0);

  CHECK(w.get(early).error().type == "no-such-decision");
  CHECK(w.get("nonsense").error().type == "no-such-decision");
  CHECK(w.list() == std::vector<std::string>{second, id});
  const auto page = w.reader.list("acme", {});
  CHECK(page->decisions(1).outcomes_size() == 3);
  CHECK(page->decisions(1).outcomes(2).outcome_id() == "order-2");
  CHECK(page->decisions(1).features().empty());
  v1::ListDecisions with;
  with.set_features(true);
  CHECK(w.reader.list("acme", with)->decisions(1).features().size() == 3);
}

TEST_CASE("lists are of one tenant, the newest first, in pages that nothing shifts") {
  World w;
  CHECK(w.reader.list("acme", {}).error().type == "not-ready");
  w.project();
  CHECK(w.list().empty());
  std::vector<std::string> ids;
  for (int i = 0; i < 25; ++i) {
    ids.push_back(w.decide("u-" + std::to_string(i), {i % 2 == 0 ? "even" : "odd"}));
    if (i % 5 == 0) w.tell(ids.back(), v1::OUTCOME_CLICK);
    w.tell(id_of(uuid7(w.now(), ~0ULL, ~0ULL), 1), v1::OUTCOME_CLICK);  // of a decision that nobody made
    w.wait(1'000);
  }
  const auto other = w.decide("u", {"even"}, "acme-2");
  w.project();
  CHECK(w.list() == reversed(ids));
  CHECK(w.list({}, "acme-2") == std::vector<std::string>{other});
  CHECK(w.list({}, "acm").empty());
  CHECK(w.get(ids[0], "acme-2").error().type == "no-such-decision");
  v1::ListDecisions some;
  for (const std::uint32_t size : {1, 2, 7, 24, 25, 1'000}) {
    some.set_page_size(size);
    CHECK(w.list(some) == reversed(ids));
  }
  some.set_page_size(3);
  some.set_offer_id("odd");
  CHECK(w.list(some).size() == 12);
  some.set_offer_id("even");
  some.set_outcome(v1::OUTCOME_CLICK);
  CHECK(w.list(some) == std::vector<std::string>{ids[20], ids[10], ids[0]});
  some.clear_offer_id();
  some.set_outcome(v1::OUTCOME_OPEN);
  CHECK(w.list(some).empty());
}

TEST_CASE("a range of times has its start and not its end; tokens are of one list") {
  World w;
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(w.decide("u", {"a"}));
    w.wait(1'000);
  }
  w.project();
  v1::ListDecisions some;
  *some.mutable_from() = campaign::time_of(*decided_at(ids[1]));
  *some.mutable_to() = campaign::time_of(*decided_at(ids[3]));
  CHECK(w.list(some) == std::vector<std::string>{ids[2], ids[1]});
  some.set_page_size(1);
  CHECK(w.list(some) == std::vector<std::string>{ids[2], ids[1]});
  const auto token = w.reader.list("acme", some)->next_page_token();
  auto others = some;
  others.set_page_token(token);
  CHECK(w.reader.list("acme", others));
  CHECK(w.reader.list("acme-2", others).error().type == "invalid-page-token");
  others.set_offer_id("b");
  CHECK(w.reader.list("acme", others).error().type == "invalid-page-token");
  *some.mutable_to() = some.from();
  CHECK(w.reader.list("acme", some).error().type == "invalid-time-range");
  some.mutable_to()->set_seconds(-1'000'000'000'000);
  CHECK(w.reader.list("acme", some).error().type == "invalid-time");
}

TEST_CASE("what is too old is not shown, and removed in time, of every tenant") {
  World w;
  const auto old = w.decide("u", {"a"});
  w.tell(old, v1::OUTCOME_CLICK);
  w.decide("u", {"a"}, "zoo");
  w.project();
  w.wait(kHour);
  const auto young = w.decide("u", {"a"});
  w.project();
  CHECK(w.rows() == 4);
  w.wait(kKept - kHour / 2);
  CHECK(w.get(old).error().type == "no-such-decision");
  CHECK(w.list() == std::vector<std::string>{young});
  CHECK(w.rows() == 4);
  const auto last = w.decide("u", {"a"});
  w.project();
  CHECK(w.rows() == 2);
  CHECK(w.list() == std::vector<std::string>{last, young});
}

TEST_CASE("a rebuild, or the same records again, make the same rows") {
  World w;
  const auto id = w.decide("u", {"a", "b"});
  w.tell(id, v1::OUTCOME_CLICK);
  w.project();
  const auto before = w.get(id)->SerializeAsString();
  const auto rows = w.rows();
  CHECK(!w.projector->rebuild("decisions"));
  w.project();
  CHECK(w.rows() == rows);
  CHECK(w.get(id)->SerializeAsString() == before);
}

}  // namespace cx::decision
