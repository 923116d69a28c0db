#include "actors/audit/audit.hpp"

#include <doctest/doctest.h>
#include <simdjson.h>

#include "actors/audit/chain.hpp"
#include "runtime/address.hpp"
#include "tests/actors/audit/entries.hpp"
#include "tests/runtime/entity/harness.hpp"

namespace cx::test {
namespace {

using google::protobuf::util::TimeUtil;

v1::AppendAudit append_command(const v1::AuditEntry& entry) {
  v1::AppendAudit command;
  *command.mutable_entry() = entry;
  return command;
}

}  // namespace

TEST_CASE("entries are numbered and chained, and their tenant is the log's, whatever they say") {
  v1::AuditState state;
  std::vector<v1::AuditEntry> log;
  for (int i = 0; i < 50; ++i) {
    auto entry = deed(1'000 * i);
    entry.set_tenant("bolt");
    entry.set_sequence(7);
    entry.set_hash("x");
    entry.set_previous_hash("y");
    log.push_back(append_to(state, "acme", entry).entry());
    CHECK(log.back().tenant() == "acme");
    CHECK(state.count() == log.size());
    CHECK(state.hash() == log.back().hash());
    CHECK(TimeUtil::TimestampToMilliseconds(state.last_at()) == 1'000 * i);
  }
  CHECK(!audit::verify(log));
  CHECK(state.SpaceUsedLong() < 512);
}

TEST_CASE("the head tells where the log ends, also of a log that has no entry") {
  v1::AuditState state;
  auto head = Audit::handle(state, v1::GetAuditHead(), Context());
  CHECK(head.count() == 0);
  CHECK(head.hash() == audit::kNoHash);
  CHECK(!head.has_last_at());
  const auto entry = append_to(state, "acme", deed(5'000)).entry();
  head = Audit::handle(state, v1::GetAuditHead(), Context());
  CHECK(head.count() == 1);
  CHECK(head.hash() == entry.hash());
  CHECK(TimeUtil::TimestampToMilliseconds(head.last_at()) == 5'000);
}

TEST_CASE("an entry is cut to its bounds and made readable, never refused") {
  v1::AuditState state;
  auto entry = deed(5'000);
  entry.set_details(std::string(Audit::kMostDetails - 1, 'x') + "é");
  entry.set_actor(std::string(100'000, 'a'));
  entry.set_resource("campaign/\xff\xfe");
  for (int i = 0; i < 1'000; ++i) entry.add_roles("r\x80");
  entry.mutable_at()->set_nanos(1'999'999);
  const auto stored = append_to(state, "acme", entry).entry();
  CHECK(stored.details() == std::string(Audit::kMostDetails - 1, 'x'));
  CHECK(stored.actor().size() == Audit::kMostText);
  CHECK(stored.resource() == "campaign/??");
  CHECK(stored.roles_size() == Audit::kMostRoles);
  CHECK(stored.roles(5) == "r?");
  CHECK(stored.at().nanos() == 1'000'000);
  v1::AuditEntry read;
  CHECK(read.ParseFromString(stored.SerializeAsString()));

  auto timeless = deed(5'000);
  timeless.clear_at();
  CHECK(TimeUtil::TimestampToMilliseconds(append_to(state, "acme", timeless).entry().at()) == 1'000);
  timeless.mutable_at()->set_seconds(-1LL << 62);
  CHECK(TimeUtil::TimestampToMilliseconds(append_to(state, "acme", timeless).entry().at()) == 1'000);
}

TEST_CASE("a log on a node keeps its chain through repeats, crashes and restarts") {
  Kinds kinds;
  kinds.add(make_kind(Audit{}));
  const std::string address = "audit/acme/log";
  World world({.shards = {shard_of("acme", "log")}, .kinds = &kinds});
  REQUIRE_FALSE(world.start());
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t i = 1; i <= 10; ++i) {
      const auto n = static_cast<std::uint64_t>(round) * 10 + i;
      // At least once, as an outbox sends it.
      for (int repeat = 0; repeat < 2; ++repeat)
        world.tell(address, append_command(deed(static_cast<std::int64_t>(n))),
                   {.source = "shard/17", .sequence = n});
    }
    if (round % 2 == 0) {
      world.crash();
      REQUIRE_FALSE(world.start());
    } else {
      world.restart();
    }
  }
  std::vector<v1::AuditEntry> log;
  for (const auto& record : world.records(shard_of("acme", "log")))
    for (const auto& bytes : record.events()) {
      v1::AuditAppended event;
      REQUIRE(event.ParseFromString(bytes));
      log.push_back(event.entry());
    }
  CHECK(log.size() == 50);
  CHECK(!audit::verify(log));
  const auto answer = world.ask(address, v1::GetAuditHead());
  REQUIRE(answer);
  const auto& head = static_cast<const v1::AuditHead&>(**answer);
  CHECK(head.count() == 50);
  CHECK(head.hash() == log.back().hash());
}

}  // namespace cx::test
