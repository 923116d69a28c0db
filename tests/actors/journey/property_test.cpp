#include <fmt/format.h>
#include <rapidcheck.h>
#include <set>

#include "drive.hpp"
#include "runtime/entity/kind.hpp"
#include "runtime/random.hpp"

namespace cx::test {
namespace {

/// Definitions and histories, each from one number.
struct Chance {
  Random random;
  explicit Chance(std::uint64_t seed) : random(seed) {}
  int below(int n) { return static_cast<int>(random.below(static_cast<std::uint32_t>(n))); }
  bool one_in(int n) { return below(n) == 0; }

  std::string step_id(int from, int to) { return fmt::format("s{}", from + below(to - from)); }

  void condition(v1::Condition& c, bool of_person) {
    switch (below(of_person ? 4 : 2)) {
      case 0:
        c.set_field("event.properties.n");
        c.mutable_at_least()->set_number_value(below(3));
        break;
      case 1:
        c.set_field("memory.m");
        c.mutable_equals()->set_number_value(below(2));
        break;
      case 2:
        c.set_field("events.A.count");
        c.mutable_at_least()->set_number_value(1 + below(3));
        break;
      default:
        c.set_field("traits.t");
        c.mutable_equals()->set_number_value(below(2));
    }
  }

  /// `calm`: what it does is settled once it has begun, whenever that happens; it only leads forward.
  v1::Journey definition(bool calm) {
    for (;;) {
      auto out = try_definition(calm);
      if (journey::problems_of(out).empty()) return out;
    }
  }
  v1::Journey try_definition(bool calm) {
    v1::Journey out;
    out.mutable_trigger()->mutable_event()->set_name("Go");
    if (!calm && one_in(2)) out.mutable_trigger()->set_key("event.properties.k");
    if (!calm) out.mutable_trigger()->set_re_entry(static_cast<v1::Trigger::ReEntry>(below(3)));
    if (!calm && one_in(3)) out.add_exit_on()->set_name("Stop");
    const int n = 2 + below(6);
    for (int i = 0; i < n; ++i) {
      auto& step = *out.add_steps();
      step.set_id(fmt::format("s{}", i));
      const int first = calm ? i + 1 : 0;
      if (i == n - 1) {
        step.mutable_exit();
        break;
      }
      switch (below(7)) {
        case 0:
        case 1:
          step.mutable_send()->set_channel(v1::CHANNEL_EMAIL);
          step.mutable_send()->set_via("main");
          step.mutable_send()->set_template_("t");
          break;
        case 2:
          step.mutable_remember()->set_name("m");
          step.mutable_remember()->mutable_value()->set_number_value(below(2));
          break;
        case 3:
          step.mutable_wait()->mutable_duration()->set_seconds(1 + below(100'000));
          break;
        case 4:
          if (calm) {
            step.mutable_wait()->mutable_at()->set_field("event.properties.t");
            step.mutable_wait()->mutable_at()->mutable_offset()->set_seconds(below(200'000) - 100'000);
          } else {
            auto& until = *step.mutable_wait()->mutable_until();
            until.mutable_event()->set_name(one_in(2) ? "A" : "Go");
            if (one_in(2)) condition(*until.mutable_event()->mutable_where(), false);
            until.mutable_timeout()->set_seconds(1 + below(100'000));
            if (one_in(2)) until.set_on_timeout(step_id(first, n));
            if (one_in(2)) until.set_remember_as("seen");
          }
          break;
        case 5:
          for (int k = 1 + below(2); k > 0; --k) {
            auto& branch = *step.mutable_decide()->add_branches();
            condition(*branch.mutable_when(), !calm);
            branch.set_next(step_id(first, n));
          }
          break;
        default:
          for (int k = 1 + below(3); k > 0; --k) {
            auto& share = *step.mutable_split()->add_shares();
            share.set_weight(static_cast<std::uint32_t>(1 + below(5)));
            share.set_next(step_id(first, n));
          }
      }
      if (!step.has_split() && one_in(4)) step.set_next(step_id(first, n));
    }
    return out;
  }

  std::string properties(std::int64_t now) {
    return fmt::format(R"({{"n": {}, "k": "k{}", "t": "{}"}})", below(4), below(2),
                       condition::time_text(now + below(200'000) * 1000LL));
  }
};

const std::vector<std::string> kCustomers = {"a", "b", "c"};

/// What an instance did, from its events.
struct Watched : Drive {
  std::map<std::string, v1::InstanceState> replayed;
  std::map<std::string, v1::CustomerState> customers;
  std::map<std::string, std::uint64_t> visits;
  bool orderly = true;

  Watched() {
    sandbox.on_instance = [this](const std::string& key, const v1::InstanceEvent& event) {
      journey::InstanceEntity::apply(replayed[key], event);
      if (!event.has_entered()) return;
      if (event.entered().visit() != visits[key] + 1) orderly = false;
      visits[key] = event.entered().visit();
    };
    sandbox.on_customer = [this](const std::string& key, const v1::CustomerEvent& event) {
      Customer::apply(customers[key], event);
    };
  }

  void check() {
    RC_ASSERT(orderly);
    RC_ASSERT(std::set<std::string>(ids.begin(), ids.end()).size() == ids.size());
    std::size_t waiting = 0;
    for (const auto& [key, state] : sandbox.instances()) {
      RC_ASSERT(serialize(state) == serialize(replayed[key]));
      const bool waits = state.status() == v1::RUN_STATUS_WAITING;
      waiting += waits;
      RC_ASSERT((state.until() > 0) == waits);
      RC_ASSERT(state.status() != v1::RUN_STATUS_ACTIVE);
      RC_ASSERT((state.has_parked()) == (state.status() == v1::RUN_STATUS_PAUSED));
      if (waits) RC_ASSERT(state.until() > sandbox.now());
    }
    RC_ASSERT(sandbox.next_due().has_value() == (waiting > 0));
    for (const auto& who : kCustomers) {
      const auto* state = sandbox.customer(who);
      if (state == nullptr) continue;
      RC_ASSERT(serialize(*state) == serialize(customers[who]));
      for (const auto& run : state->person().runs()) {
        const auto key = run.key().empty() ? "" : journey::instance_key(run.key());
        const auto& instance = this->instance(journey::instance_name(run.journey(), key, who));
        if (instance.run() == run.run()) RC_ASSERT(journey::is_running(instance) == (run.ended() == 0));
      }
    }
  }
};

TEST_CASE("whatever is defined and happens: no visit twice, and the state follows from the events") {
  std::size_t sent = 0;
  CHECK(rc::check("random definitions, random histories", [&](std::uint64_t seed) {
    Chance chance(seed);
    Watched drive;
    drive.book.add("one", chance.definition(false));
    drive.book.add("two", chance.definition(false));
    for (const auto& who : kCustomers)
      if (!chance.one_in(5)) drive.consent(who);
    for (int i = 0; i < 60; ++i) {
      const auto& who = kCustomers[static_cast<std::size_t>(chance.below(3))];
      switch (chance.below(8)) {
        case 0:
        case 1:
          drive.track(who, "Go", chance.properties(drive.sandbox.now()));
          break;
        case 2:
        case 3:
          drive.track(who, "A", chance.properties(drive.sandbox.now()));
          break;
        case 4:
          drive.identify(who, fmt::format(R"({{"t": {}}})", chance.below(2)));
          break;
        case 5:
          if (chance.one_in(3)) drive.track(who, "Stop");
          break;
        case 6:
          drive.stage(chance.one_in(2) ? "one" : "two", chance.one_in(2)    ? v1::JOURNEY_STAGE_PAUSED
                                                        : chance.one_in(10) ? v1::JOURNEY_STAGE_ARCHIVED
                                                                            : v1::JOURNEY_STAGE_ACTIVE);
          break;
        default:
          drive.advance(chance.below(50'000) * kSecond);
      }
      drive.check();
    }
    drive.stage("one", v1::JOURNEY_STAGE_ACTIVE);
    drive.stage("two", v1::JOURNEY_STAGE_ACTIVE);
    drive.advance(3 * kDay);
    drive.check();
    drive.stage("one", v1::JOURNEY_STAGE_ARCHIVED);
    drive.stage("two", v1::JOURNEY_STAGE_ARCHIVED);
    for (const auto& [key, state] : drive.sandbox.instances()) RC_ASSERT(!journey::is_running(state));
    drive.check();
    sent += drive.sent.size();
  }));
  CHECK(sent > 100);
}

/// The steps that each instance sent, and when.
using Sends = std::map<std::string, std::vector<std::pair<std::string, std::int64_t>>>;

TEST_CASE("paused and resumed at any time, everybody gets the same messages, only later") {
  std::size_t sent = 0;
  CHECK(rc::check("pauses", [&](std::uint64_t seed) {
    Chance chance(seed);
    const auto definition = chance.definition(true);
    const auto run = [&](bool pauses) {
      Sends sends;
      Drive drive;
      drive.sandbox.on_sent = [&](const std::string& who, const v1::RequestMessage& request) {
        sends[who].emplace_back(request.step(), drive.sandbox.now());
      };
      drive.book.add("j", definition);
      Chance same(seed + 1), other(seed + 2);
      for (const auto& who : kCustomers) {
        drive.consent(who);
        drive.track(who, "Go", same.properties(drive.sandbox.now()));
      }
      for (int i = 0; pauses && i < 20; ++i) {
        drive.stage("j", other.one_in(2) ? v1::JOURNEY_STAGE_PAUSED : v1::JOURNEY_STAGE_ACTIVE);
        drive.advance(other.below(50'000) * kSecond);
      }
      drive.stage("j", v1::JOURNEY_STAGE_ACTIVE);
      drive.advance(60 * kDay);
      for (const auto& [key, state] : drive.sandbox.instances())
        RC_ASSERT(state.status() == v1::RUN_STATUS_COMPLETED);
      return sends;
    };
    const auto without = run(false), with = run(true);
    RC_ASSERT(without.size() == with.size());
    for (const auto& [who, sends] : without) {
      const auto& later = with.at(who);
      RC_ASSERT(sends.size() == later.size());
      for (std::size_t i = 0; i < sends.size(); ++i) {
        RC_ASSERT(sends[i].first == later[i].first);
        RC_ASSERT(sends[i].second <= later[i].second);
      }
      sent += sends.size();
    }
  }));
  CHECK(sent > 100);
}

}  // namespace
}  // namespace cx::test
