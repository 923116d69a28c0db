#include "actors/customer/timeline.hpp"

#include <doctest/doctest.h>

#include "actors/customer/announce.hpp"
#include "actors/customer/timeline_reader.hpp"
#include "tests/actors/customer/driver.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx::test {
namespace {

v1::Profile no_profile(std::uint64_t, std::string_view) {
  return {};
}

/// Customers, the log of what happens to them, and what is read of it.
struct World {
  void send(const std::string& customer, const Message& command) {
    const auto address = "customer/acme/" + customer;
    auto& entity = entities[address];
    if (!entity) entity = kind->make(address);
    Context context;
    context.now = log.environment.clock().unix_ms();
    context.self = address;
    context.tenant = "acme";
    context.key = customer;
    context.actor = "user/ana";
    auto decision = entity->decide(*kind->command(command.GetDescriptor()), command, context);
    REQUIRE(decision);
    if (!decision->events.empty()) append(address, command, std::move(decision->events));
  }
  // As Log::append(), with the command.
  void append(const std::string& address, const Message& command, std::vector<std::string> events) {
    const auto parsed = parse_address(address);
    const auto shard = shard_of(parsed->tenant, parsed->key);
    v1::JournalRecord record;
    record.set_shard(shard);
    record.set_sequence(log.heads[shard].last + 1);
    record.set_entity(address);
    record.set_schema(1);
    record.set_now(log.environment.clock().unix_ms());
    record.set_actor("user/ana");
    record.mutable_command()->set_type(command.GetTypeName());
    record.mutable_command()->set_bytes(serialize(command));
    for (auto& event : events) record.add_events(std::move(event));
    const Append append{
        shard, log.heads[shard].epoch, log.heads[shard].last++, {record.SerializeAsString()}, {}};
    REQUIRE(!log.journal->append({&append, 1}, true).front());
  }
  void project() { log.project(*projector); }
  v1::Entries made(const std::string& customer) {
    const auto& state =
        static_cast<const v1::CustomerState&>(entities.at("customer/acme/" + customer)->state());
    v1::Entries out;
    out.set_count(state.person().entries());
    out.set_last_at(state.person().last_entry());
    return out;
  }
  Result<std::optional<v1::TimelinePage>> read(const v1::GetTimeline& request) {
    return reader.list("acme", request, made(request.customer_id()), 0);
  }
  std::vector<v1::TimelineEntry> all(const std::string& customer, std::uint32_t page_size = 0,
                                     const std::function<void()>& between = nullptr) {
    v1::GetTimeline request;
    request.set_customer_id(customer);
    request.set_page_size(page_size);
    std::vector<v1::TimelineEntry> out;
    for (int pages = 0; pages < 1'000; ++pages) {
      const auto page = read(request);
      REQUIRE(page);
      REQUIRE(page->has_value());
      out.insert(out.end(), (*page)->entries().begin(), (*page)->entries().end());
      if ((*page)->next_page_token().empty()) return out;
      request.set_page_token((*page)->next_page_token());
      if (between) between();
    }
    FAIL("a timeline without an end");
    return out;
  }

  const std::unique_ptr<EntityKind> kind = make_kind(Customer{no_profile, 0});
  std::map<std::string, std::unique_ptr<Entity>> entities;
  Log log;
  TemporaryDirectory directory;
  CustomerTimeline timeline{directory.file("customers.db")};
  TimelineReader reader{directory.file("customers.db"), log.environment.clock()};
  std::unique_ptr<Projector> projector = log.projector(timeline);
};

std::int64_t rows(const std::string& path) {
  SystemClock clock;
  SqliteReader reader(path, clock);
  std::int64_t n = -1;
  CHECK_FALSE(reader.read("SELECT count(*) FROM timeline", {}, 0, [&](const sqlite::Row& row) {
    n = row.integer(0);
    return false;
  }));
  return n;
}

}  // namespace

TEST_CASE("everything that happened is there once, the newest first, with what there is to say") {
  World w;
  auto order = track("Order Completed", "e-1", kNow);
  order.set_properties(R"({"total":12.5,"items":["a"]})");
  w.send("c-1", order);
  w.send("c-1", order);  // a duplicate
  w.send("c-2", identify(R"({"plan":"gold"})", "e-1"));
  v1::SetCustomerConsent consent;
  consent.set_purpose("marketing");
  consent.set_channel(v1::CHANNEL_EMAIL);
  consent.set_granted(true);
  consent.set_origin("form \"3\"");
  w.send("c-1", consent);
  w.send("c-1", request("m-1"));
  v1::SettleMessage settle;
  settle.set_message_id("m-1");
  settle.set_outcome(v1::SettleMessage::FAILED);
  settle.set_reason("no-address");
  w.send("c-1", settle);
  v1::SuppressCustomer suppress;
  suppress.set_reason(v1::SUPPRESSION_REASON_BOUNCED);
  w.send("c-1", suppress);
  w.project();
  w.project();

  const auto entries = w.all("c-1");
  REQUIRE(entries.size() == 5);
  for (std::size_t i = 0; i < entries.size(); ++i) CHECK(entries[i].number() == entries.size() - i);
  CHECK(entries[4].type() == "track");
  CHECK(entries[4].name() == "Order Completed");
  CHECK(entries[4].id() == "e-1");
  CHECK(entries[4].source() == "key/1");
  CHECK(entries[4].happened().seconds() == kNow / 1'000);
  CHECK(entries[4].details().fields().at("total").number_value() == 12.5);
  CHECK(entries[3].type() == "consent");
  CHECK(entries[3].name() == "granted");
  CHECK(entries[3].source() == "user/ana");
  CHECK(entries[3].details().fields().at("origin").string_value() == "form \"3\"");
  CHECK(entries[3].details().fields().at("channel").string_value() == "CHANNEL_EMAIL");
  CHECK(entries[2].type() == "message");
  CHECK(entries[2].name() == "queued");
  CHECK(entries[2].id() == "m-1");
  CHECK(entries[2].details().fields().at("step").string_value() == "hello");
  CHECK(entries[1].name() == "failed");
  CHECK(entries[1].details().fields().at("rule").string_value() == "no-address");
  CHECK(entries[0].name() == "suppressed");
  CHECK(entries[0].details().fields().size() == 1);
  const auto other = w.all("c-2");
  REQUIRE(other.size() == 1);
  CHECK(other[0].type() == "identify");
  CHECK(other[0].details().fields().at("plan").string_value() == "gold");
}

TEST_CASE(
    "pages neither repeat nor skip, also when more happens meanwhile; a token is good for its list only") {
  World w;
  int n = 0;
  const auto more = [&] {
    w.send("c-1", track("x", std::to_string(++n)));
    w.send("c-2", track("x", std::to_string(++n)));
    w.project();
  };
  for (int i = 0; i < 20; ++i) more();
  const auto entries = w.all("c-1", 3, more);
  REQUIRE(entries.size() == 20);
  for (std::size_t i = 0; i < entries.size(); ++i) CHECK(entries[i].number() == 20 - i);
  v1::GetTimeline request;
  request.set_customer_id("c-1");
  request.set_page_size(3);
  const auto token = (**w.read(request)).next_page_token();
  request.set_customer_id("c-2");
  for (const auto& wrong : {token, token + "00", std::string("zz"), std::string(199, 'a')}) {
    request.set_page_token(wrong);
    const auto page = w.read(request);
    REQUIRE_FALSE(page);
    CHECK(page.error().type == "invalid-page-token");
  }
}

TEST_CASE("a timeline that is not there yet is not shown as if it were all") {
  World w;
  v1::GetTimeline request;
  request.set_customer_id("c-1");
  w.send("c-1", track("x", "1"));
  CHECK_FALSE(w.read(request)->has_value());  // there is no file yet
  w.project();
  CHECK((**w.read(request)).entries_size() == 1);
  w.send("c-1", track("x", "2"));
  CHECK_FALSE(w.read(request)->has_value());
  w.project();
  CHECK((**w.read(request)).entries_size() == 2);
}

TEST_CASE("bids make no rows") {
  World w;
  v1::ReserveImpressions bid;
  bid.set_count(1);
  bid.mutable_cap()->set_per_hour(3);
  bid.mutable_cap()->set_per_day(3);
  w.send("c-1", bid);
  w.send("c-1", track("x", "1"));
  w.send("c-1", bid);
  w.project();
  CHECK(rows(w.directory.file("customers.db")) == 1);
  CHECK(w.all("c-1").size() == 1);
}

TEST_CASE("what is older than 13 months is gone, first for readers and then from the file") {
  World w;
  for (int i = 0; i < 300; ++i) w.send("old", track("x", std::to_string(i)));
  w.send("c-1", track("x", "1"));
  w.project();
  w.log.environment.set_clock().advance(CustomerTimeline::kKept + kDay);
  CHECK(w.all("old").empty());  // without waiting for what will never come
  for (int i = 0; i < 4; ++i) {
    w.send("c-1", track("x", "n" + std::to_string(i)));
    w.project();
  }
  CHECK(rows(w.directory.file("customers.db")) == 4);
  CHECK(w.all("c-1").size() == 4);
}

TEST_CASE("a rebuild keeps what there is, and puts it right") {
  World w;
  for (int i = 0; i < 5; ++i) w.send("c-1", track("x", std::to_string(i)));
  w.project();
  REQUIRE_FALSE(w.projector->rebuild("customers"));
  w.project();
  CHECK(w.all("c-1").size() == 5);
  CHECK(rows(w.directory.file("customers.db")) == 5);
}

TEST_CASE("entries that the journal had forgotten before are not waited for") {
  World w;
  for (int i = 0; i < 3; ++i) w.send("c-1", track("x", std::to_string(i)));
  v1::Snapshot base;
  base.set_entity("customer/acme/c-1");
  base.set_state(w.entities.at("customer/acme/c-1")->save());
  w.send("c-2", track("x", "1"));
  w.project();
  v1::GetTimeline request;
  request.set_customer_id("c-9");
  v1::Entries made;
  made.set_count(3);
  made.set_last_at(w.made("c-1").last_at());
  CHECK_FALSE(w.reader.list("acme", request, made, 0)->has_value());
  base.set_entity("customer/acme/c-9");
  REQUIRE_FALSE(w.timeline.sink().begin());
  REQUIRE_FALSE(w.timeline.project_base(base));
  REQUIRE_FALSE(w.timeline.sink().commit({}));
  CHECK((**w.reader.list("acme", request, made, 0)).entries_size() == 0);
  made.set_count(4);
  CHECK_FALSE(w.reader.list("acme", request, made, 0)->has_value());
}

TEST_CASE("the method reads what was written before: it waits for it, for two seconds") {
  World w;
  QueuedExecutor executor, later;
  Services services;
  std::vector<std::string> asked;
  Error refused{Code::not_found, "no-such-customer", "", ""};
  bool known = true;
  add_timeline(
      services, w.reader, executor, later,
      [&](const CallContext&, const std::string& to, const MessagePtr& command, const Respond& respond) {
        asked.push_back(to);
        CHECK(command->GetTypeName() == "cx.v1.GetEntries");
        if (!known) return respond(refused);
        respond(MessagePtr(std::make_shared<v1::Entries>(w.made("c-1"))));
      });
  std::vector<Result<std::shared_ptr<const google::protobuf::Message>>> answers;
  const auto call = [&] {
    auto caller = std::make_shared<Caller>();
    caller->tenant = "acme";
    CallContext context;
    context.caller = caller;
    auto request = std::make_shared<v1::GetTimeline>();
    request->set_customer_id("c-1");
    (*services.unary("cx.v1.Customers.Timeline"))(
        context, request, Services::Respond([&](auto reply) { answers.push_back(reply); }));
  };
  w.send("c-1", track("x", "1"));
  call();
  CHECK(asked == std::vector<std::string>{"customer/acme/c-1"});
  CHECK(executor.run() == 1);
  CHECK(answers.empty());
  CHECK(later.run_one());  // still not there
  CHECK(answers.empty());
  w.project();
  CHECK(later.run_one());
  REQUIRE(answers.size() == 1);
  REQUIRE(answers[0]);
  CHECK(static_cast<const v1::TimelinePage&>(**answers[0]).entries_size() == 1);

  w.send("c-1", track("x", "2"));
  call();
  executor.run();
  CHECK(later.run_one());
  w.log.environment.set_clock().advance(2'000);
  CHECK(later.run_one());
  CHECK_FALSE(later.run_one());
  REQUIRE(answers.size() == 2);
  REQUIRE_FALSE(answers[1]);
  CHECK(answers[1].error().type == "timeline-behind");
  CHECK(answers[1].error().code == Code::unavailable);

  known = false;
  call();
  REQUIRE(answers.size() == 3);
  CHECK(answers[2].error().type == "no-such-customer");
  known = true;
  for (int i = 0; i < 300; ++i) call();
  CHECK(answers.size() == 3 + 300 - 256);
  CHECK(answers.back().error().code == Code::overloaded);
  executor.run();
  w.project();
  later.run();
  CHECK(answers.size() == 303);
  call();
  executor.run();
  CHECK(answers.size() == 304);
  CHECK(answers.back());
}

TEST_CASE("others are told what the timeline shows, and nothing of bids") {
  World w;
  auto order = track("Order Completed", "e-1", kNow);
  order.set_properties(R"({"total":12.5})");
  w.send("c-1", order);
  v1::ReserveImpressions reserve;
  reserve.set_count(1);
  reserve.mutable_cap()->set_per_hour(5);
  reserve.mutable_cap()->set_per_day(5);
  w.send("c-1", reserve);
  v1::SuppressCustomer suppress;
  suppress.set_reason(v1::SUPPRESSION_REASON_BOUNCED);
  w.send("c-1", suppress);
  w.project();
  const auto shown = w.all("c-1");
  REQUIRE(shown.size() == 2);

  std::vector<Announcement> said;
  REQUIRE_FALSE(w.log.journal->read(shard_of("acme", "c-1"), 0, [&](std::uint64_t, std::string_view bytes) {
    v1::JournalRecord record;
    REQUIRE(record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    const auto of = announce_customer(record);
    REQUIRE(of);
    said.insert(said.end(), of->begin(), of->end());
    return true;
  }));
  REQUIRE(said.size() == 2);
  CHECK(said[0].type == "track");
  CHECK(said[0].at == kNow);
  CHECK(said[1].type == "suppression");
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(said[i].body->ShortDebugString() == shown[1 - i].ShortDebugString());

  v1::JournalRecord unreadable;
  unreadable.set_entity("customer/acme/c-1");
  unreadable.add_events("\x3a\xff");
  CHECK(announce_customer(unreadable).error().type == "corrupt");
}

}  // namespace cx::test
