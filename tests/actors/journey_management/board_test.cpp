#include "actors/journey/board.hpp"

#include <algorithm>
#include <chrono>
#include <doctest/doctest.h>

#include "tests/actors/journey_management/runs.hpp"

namespace cx::test {
namespace {

const std::vector<std::string> kTenants{"acme", "bolt"}, kJourneys{"one", "two", "three"};

/// Active in both tenants.
void define(Runs& runs, const std::string& tag) {
  for (const auto& tenant : kTenants)
    for (const auto& id : kJourneys) {
      runs.world.put(journey::kJourneyKind, tenant, id, long_journey(tag));
      if (runs.world.book->stage(tenant, id) != v1::JOURNEY_STAGE_PAUSED)
        REQUIRE(runs.world.lifecycle->activate(tenant, id, 0, "user/ana"));
    }
}

std::string pick(Random& random, const std::vector<std::string>& from) {
  return from[random.below(static_cast<std::uint32_t>(from.size()))];
}

/// Something that happens to some instance, or to a journey as a whole.
void anything(Runs& runs, Random& random) {
  const auto tenant = pick(random, kTenants), id = pick(random, kJourneys);
  const auto key = random.below(3) == 0 ? "k" + std::to_string(random.below(2)) : "";
  const auto address =
      "journey/" + tenant + "/" + journey::instance_name(id, key, "c-" + std::to_string(random.below(12)));
  if (random.below(25) == 0) {
    const auto verb = runs.world.book->stage(tenant, id) == v1::JOURNEY_STAGE_PAUSED ? journey::Verb::resume
                                                                                     : journey::Verb::pause;
    REQUIRE(runs.world.lifecycle->change(verb, tenant, id, "user/ana"));
    return;
  }
  if (!runs.entities.contains(address) || random.below(6) == 0) {
    runs.start(address);
    return;
  }
  const auto& state = runs.state(address);
  switch (random.below(7)) {
    case 0: {
      v1::RunEvent event;
      event.set_name(random.below(5) == 0 ? "Stop" : "Seen");
      event.set_event("{}");
      runs.send(address, event);
      return;
    }
    case 1: {
      v1::WakeRun wake;
      wake.set_visit(state.visit());
      runs.send(address, wake);
      return;
    }
    case 2:
    case 3: {
      v1::StepDecided decided;
      decided.set_visit(state.visit());
      decided.set_branch(static_cast<int>(random.below(2)) - 1);
      runs.send(address, decided);
      return;
    }
    case 4: {
      runs.send(address, v1::ReconsiderRun());
      return;
    }
    default: {
      v1::MessageUpdate update;
      update.set_step(random.below(2) == 0 ? "hello" : "again");
      update.set_what(pick(random, {"queued", "deferred", "refused", "sent", "failed", "unknown"}));
      if (random.below(2) == 0) update.set_rule("quiet-hours");
      if (random.below(2) == 0) update.set_detail("until 08:00");
      runs.send(address, update);
    }
  }
}

/// What the board says is what the instances say.
void compare(Runs& runs) {
  for (const auto& tenant : kTenants)
    for (const auto& id : kJourneys) {
      using Changed = std::pair<std::int64_t, const v1::InstanceState*>;
      std::map<int, std::vector<Changed>> by_status;
      std::map<std::string, std::uint64_t> there;
      for (const auto& [address, entity] : runs.entities) {
        if (!address.starts_with("journey/" + tenant + "/" + id + "@") &&
            !address.starts_with("journey/" + tenant + "/" + id + ":"))
          continue;
        const auto& state = runs.state(address);
        if (state.run() == 0) continue;
        by_status[state.status()].emplace_back(state.changed(), &state);
        if (journey::is_running(state) && !state.step().empty()) ++there[state.step()];
      }
      const auto counts = runs.lists.counts(tenant, id, 0);
      REQUIRE(counts);
      CHECK(counts->runs.active() == by_status[v1::RUN_STATUS_ACTIVE].size());
      CHECK(counts->runs.waiting() == by_status[v1::RUN_STATUS_WAITING].size());
      CHECK(counts->runs.paused() == by_status[v1::RUN_STATUS_PAUSED].size());
      CHECK(counts->runs.completed() == by_status[v1::RUN_STATUS_COMPLETED].size());
      CHECK(counts->runs.exited() == by_status[v1::RUN_STATUS_EXITED].size());
      const auto& passed = runs.passed[tenant + '/' + id];
      CHECK(counts->steps.size() == passed.size());
      for (const auto& step : counts->steps) {
        CAPTURE(step.step());
        CHECK(step.there() == there[step.step()]);
        const auto& expected = passed.at(step.step());
        CHECK(step.entered() == expected.entered);
        CHECK(step.sent() == expected.sent);
        CHECK(step.refused() == expected.refused);
        CHECK(step.failed() == expected.failed);
      }

      for (int status = 0; status <= v1::RUN_STATUS_EXITED; ++status) {
        std::vector<Changed> expected;
        for (const auto& [s, states] : by_status)
          if (status == 0 || s == status) expected.insert(expected.end(), states.begin(), states.end());
        std::sort(expected.rbegin(), expected.rend());
        v1::ListJourneyRuns request;
        request.set_id(id);
        request.set_status(static_cast<v1::RunStatus>(status));
        request.set_page_size(3);
        std::size_t at = 0;
        for (;;) {
          const auto page = runs.lists.list(tenant, request, 0);
          REQUIRE(page);
          for (const auto& row : page->runs()) {
            REQUIRE(at < expected.size());
            const auto& state = *expected[at++].second;
            CHECK(row.step() == state.step());
            CHECK(row.status() == state.status());
            CHECK(row.key() == state.key());
            CHECK(row.revision() == state.revision());
            CHECK("customer/" + tenant + '/' + row.customer_id() == state.customer());
            CHECK(row.changed_at().seconds() * 1'000 == state.changed());
            CHECK(row.started_at().seconds() * 1'000 == state.started());
            CHECK(row.until().seconds() * 1'000 == state.until());
          }
          if (page->next_page_token().empty()) break;
          request.set_page_token(page->next_page_token());
        }
        CHECK(at == expected.size());
      }
    }
}

}  // namespace

TEST_CASE("the board says of runs and steps what the instances say, whatever happens to them") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    Runs runs;
    Random random(seed);
    define(runs, "a");
    for (int round = 0; round < 8; ++round) {
      for (int i = 0; i < 150; ++i) anything(runs, random);
      if (round == 3) define(runs, "b");  // instances that are under way keep the older revision
      if (round == 5) runs.restart();
      runs.project();
      compare(runs);
    }
    // Built anew it is the same.
    REQUIRE(!runs.projector->rebuild("journeys"));
    runs.project();
    compare(runs);
    // And so it is of what is left of the log, as long as nobody's path is too long to be remembered.
    std::size_t longest = 0;
    for (const auto& [address, entity] : runs.entities)
      longest = std::max<std::size_t>(longest, static_cast<std::size_t>(runs.state(address).path_size()));
    REQUIRE(longest < journey::InstanceEntity::kMostNotes);
    CHECK(runs.log.forget_some(*runs.kind, random) > 50);
    REQUIRE(!runs.projector->rebuild("journeys"));
    runs.project();
    compare(runs);
    CHECK(runs.projector->status().front().missed == 0);
    for (int i = 0; i < 150; ++i) anything(runs, random);
    runs.project();
    compare(runs);
  }
}

TEST_CASE("a list is of one tenant and one journey, and its pages are its own") {
  Runs runs;
  define(runs, "a");
  for (int i = 0; i < 9; ++i)
    for (const auto& tenant : kTenants)
      REQUIRE(runs.start("journey/" + tenant + "/one:" + tenant + "-" + std::to_string(i)));
  runs.project();
  v1::ListJourneyRuns request;
  request.set_id("one");
  request.set_page_size(4);
  auto page = runs.lists.list("acme", request, 0);
  REQUIRE(page);
  REQUIRE(page->runs_size() == 4);
  CHECK(page->runs(0).customer_id() == "acme-8");
  CHECK(page->runs(0).revision() == 1);
  CHECK(page->runs(0).step() == "look");
  CHECK(page->runs(0).status() == v1::RUN_STATUS_WAITING);
  CHECK(page->runs(0).until().seconds() - page->runs(0).started_at().seconds() == 3'600);
  const auto token = page->next_page_token();
  REQUIRE(!token.empty());
  request.set_page_token(token);
  CHECK(runs.lists.list("acme", request, 0)->runs(0).customer_id() == "acme-4");
  CHECK(runs.lists.list("bolt", request, 0).error().type == "invalid-page-token");
  auto other = request;
  other.set_id("two");
  CHECK(runs.lists.list("acme", other, 0).error().type == "invalid-page-token");
  other = request;
  other.set_step("look");
  CHECK(runs.lists.list("acme", other, 0).error().type == "invalid-page-token");
  for (const std::string position :
       {"2f", "312f", "31", "312f312f", "312d31", "39393939393939393939393939393939393939392f31"}) {
    other = request;
    other.set_page_token(token.substr(0, 16) + position);
    CHECK(runs.lists.list("acme", other, 0).error().type == "invalid-page-token");
  }
  other.clear_page_token();
  other.set_step("look");
  CHECK(runs.lists.list("acme", other, 0)->runs_size() == 4);
  other.set_step("' OR 1=1 --");
  CHECK(runs.lists.list("acme", other, 0)->runs_size() == 0);
  other.set_id("% OR");
  CHECK(runs.lists.list("acme", other, 0)->runs_size() == 0);
}

TEST_CASE("a report has the steps of the active revision in their order, then older ones that were passed") {
  Runs runs;
  Services services;
  journey::add_reports(services, runs.lists, *runs.world.lifecycle, *runs.world.catalog, runs.log.executor);
  auto caller = std::make_shared<Caller>();
  caller->tenant = "acme";
  CallContext call;
  call.caller = caller;
  const auto report = [&](const std::string& id) -> Result<v1::JourneyReport> {
    v1::GetJourneyStatus request;
    request.set_id(id);
    Services::Reply reply = Error{Code::internal, "none", "", ""};
    (*services.unary("cx.v1.Journeys.Status"))(call, std::make_shared<v1::GetJourneyStatus>(request),
                                               Services::Respond([&](auto r) { reply = std::move(r); }));
    runs.log.executor.run();
    if (!reply) return reply.error();
    return static_cast<const v1::JourneyReport&>(**reply);
  };
  const auto steps = [](const v1::JourneyReport& of) {
    std::vector<std::string> out;
    for (const auto& step : of.steps()) out.push_back(step.step() + "=" + std::to_string(step.entered()));
    return out;
  };
  using Steps = std::vector<std::string>;
  CHECK(report("one").error().type == "no-such-journey");
  runs.world.put(journey::kJourneyKind, "acme", "one", long_journey("a"));
  auto shown = report("one");  // nothing has been projected yet
  REQUIRE(shown);
  CHECK(shown->status().stage() == v1::JOURNEY_STAGE_DRAFT);
  CHECK(shown->latest_revision() == 1);
  CHECK(steps(*shown) == Steps{"hello=0", "look=0", "ask-a=0", "over=0", "again=0", "rest=0", "end=0"});

  REQUIRE(runs.world.lifecycle->activate("acme", "one", 0, "user/ana"));
  const std::string address = "journey/acme/one:c-1";
  REQUIRE(runs.start(address));
  v1::WakeRun wake;
  wake.set_visit(runs.state(address).visit());
  REQUIRE(runs.send(address, wake));
  runs.world.put(journey::kJourneyKind, "acme", "one", long_journey("b"));
  REQUIRE(runs.world.lifecycle->activate("acme", "one", 0, "user/ana"));
  REQUIRE(runs.start("journey/acme/one:c-2"));
  runs.project();
  shown = report("one");
  REQUIRE(shown);
  CHECK(shown->status().revision() == 2);
  CHECK(shown->runs().active() == 1);
  CHECK(shown->runs().waiting() == 1);
  CHECK(steps(*shown) ==
        Steps{"hello=2", "look=2", "ask-b=0", "over=0", "again=0", "rest=0", "end=0", "ask-a=1"});
}

TEST_CASE("what a record costs the board" * doctest::skip()) {  // for a person to look at
  Runs runs;
  runs.world.put(journey::kJourneyKind, "acme", "one", long_journey("a"));
  REQUIRE(runs.world.lifecycle->activate("acme", "one", 0, "user/ana"));
  constexpr int kInstances = 20'000;
  v1::MessageUpdate queued, sent;
  queued.set_step("hello");
  queued.set_what("queued");
  sent.set_step("hello");
  sent.set_what("sent");
  for (int i = 0; i < kInstances; ++i) {
    const auto address = "journey/acme/one:c-" + std::to_string(i);
    REQUIRE(runs.start(address));
    REQUIRE(runs.send(address, queued));
    REQUIRE(runs.send(address, sent));
  }
  const auto begin = std::chrono::steady_clock::now();
  runs.project();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  const auto each = took.count() / (3 * kInstances);
  MESSAGE(each, " us a record");
  const auto asked = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) REQUIRE(runs.lists.open());
  const std::chrono::duration<double, std::micro> look = std::chrono::steady_clock::now() - asked;
  const auto one = look.count() / 100;
  MESSAGE(one, " us a look of the reconciler");
}

}  // namespace cx::test
