#include <chrono>
#include <doctest/doctest.h>
#include "tests/actors/customer/driver.hpp"
#include "actors/customer/timeline.hpp"
#include "tests/runtime/projection/log.hpp"
namespace cx::test {
using Steady = std::chrono::steady_clock;
static double ns(Steady::time_point a, int n) { return std::chrono::duration<double, std::nano>(Steady::now() - a).count() / n; }
static v1::Profile nop(std::uint64_t, std::string_view) { return {}; }
TEST_CASE("tmp bench") {
  FakeBook book;
  book.add(journey_of("welcome", "Order Completed"));
  auto kind = make_kind(Customer{nop, 0, &book, nullptr});
  constexpr int n = 100'000;
  std::vector<std::unique_ptr<Entity>> all;
  for (int i = 0; i < 1000; ++i) all.push_back(kind->make("customer/acme/c"));
  const auto run = [&](const char* what, const char* name, bool ident) {
    std::vector<v1::TakeEvent> events;
    for (int i = 0; i < n; ++i) {
      auto e = ident ? identify(R"({"email":"jane.doe@example.com","first_name":"Jane","plan":"gold","city":"Berlin","age":41})", what + std::to_string(i), kNow + i) : track(name, what + std::to_string(i));
      if (!ident) e.set_properties(R"({"total":12.5,"currency":"USD","items":["a","b"]})");
      e.set_context(R"({"library":{"name":"analytics-node","version":"2.1.3"},"ip":"10.0.0.1"})");
      events.push_back(e);
    }
    Context c; c.now = kNow; c.tenant = "acme"; c.key = "c";
    const auto* type = kind->command(v1::TakeEvent::descriptor());
    std::size_t letters = 0;
    const auto start = Steady::now();
    for (int i = 0; i < n; ++i) { auto d = all[i % 1000]->decide(*type, events[i], c); letters += d->effects.outbox.size(); }
    MESSAGE(what << ": " << ns(start, n) << " ns an event, letters " << letters);
  };
  run("identify", "", true);
  run("untriggering", "Page Left", false);
  run("triggering", "Order Completed", false);
}
TEST_CASE("tmp bench projection") {
  for (bool bids : {true, false}) {
    Log log; TemporaryDirectory dir; CustomerTimeline t(dir.file("c.db"));
    auto projector = log.projector(t);
    constexpr int n = 100'000;
    auto kind = make_kind(Customer{nop, 0});
    std::vector<Append> appends;
    for (int i = 0; i < n; ++i) {
      const auto key = "u" + std::to_string(i);
      const auto address = "customer/acme/" + key;
      v1::ReserveImpressions bid; bid.set_count(1); bid.mutable_cap()->set_per_hour(3); bid.mutable_cap()->set_per_day(3);
      auto ev = track("Order Completed", key); ev.set_properties(R"({"total":12.5,"currency":"USD","items":["a","b"]})");
      const Message& command = bids ? static_cast<const Message&>(bid) : ev;
      auto entity = kind->make(address); Context c; c.now = kNow; c.key = key; c.tenant = "acme"; c.self = address;
      auto d = entity->decide(*kind->command(command.GetDescriptor()), command, c);
      const auto shard = shard_of("acme", key);
      v1::JournalRecord r; r.set_shard(shard); r.set_sequence(log.heads[shard].last + 1); r.set_entity(address); r.set_schema(1); r.set_now(kNow);
      r.mutable_command()->set_type(command.GetTypeName()); r.mutable_command()->set_bytes(serialize(command));
      for (auto& e : d->events) r.add_events(std::move(e));
      const Append a{shard, log.heads[shard].epoch, log.heads[shard].last++, {r.SerializeAsString()}, {}};
      REQUIRE(!log.journal->append({&a, 1}, false).front());
    }
    const auto start = Steady::now();
    log.project(*projector);
    MESSAGE((bids ? "bids " : "events ") << ns(start, n) << " ns a record");
  }
}
}
