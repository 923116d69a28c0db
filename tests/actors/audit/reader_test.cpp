#include "actors/audit/reader.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "actors/audit/archive.hpp"
#include "actors/audit/chain.hpp"
#include "actors/audit/ndjson.hpp"
#include "runtime/random.hpp"
#include "tests/actors/audit/entries.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx::test {
namespace {

using google::protobuf::util::TimeUtil;
using Entries = std::vector<v1::AuditEntry>;

struct Fixture {
  void append(const std::string& tenant, const v1::AuditEntry& entry) {
    const auto event = append_to(states[tenant], tenant, entry);
    log.append("audit/" + tenant + "/log", {event.SerializeAsString()});
    entries[tenant].push_back(event.entry());
  }
  void project() { log.project(*projector); }

  /// Every page of a list, with whatever happens between two of them.
  Entries all(const std::string& tenant, v1::ListAuditRequest request,
              const std::function<void()>& between = nullptr) {
    Entries out;
    for (int pages = 0; pages < 10'000; ++pages) {
      const auto page = reader.list(tenant, request, 0);
      REQUIRE(page);
      if (request.page_size() > 0) CHECK(page->entries_size() <= request.page_size());
      out.insert(out.end(), page->entries().begin(), page->entries().end());
      if (page->next_page_token().empty()) return out;
      CHECK(page->entries_size() > 0);
      request.set_page_token(page->next_page_token());
      if (between) between();
    }
    FAIL("a list without an end");
    return out;
  }

  Log log;
  TemporaryDirectory directory;
  AuditArchive archive{directory.file("audit.db")};
  AuditReader reader{directory.file("audit.db"), log.environment.clock()};
  std::unique_ptr<Projector> projector = log.projector(archive);
  std::map<std::string, v1::AuditState> states;
  std::map<std::string, Entries> entries;
};

std::string text_of(const Entries& entries) {
  std::string out;
  for (const auto& entry : entries) out += entry.tenant() + ":" + entry.ShortDebugString() + "\n";
  return out;
}

const std::vector<std::string> kTenants{"acme", "acme-2", "bolt"};
const std::vector<std::string> kActors{"user/ana", "user/an", "key/3f9c", "' OR 1=1 --", ""};
const std::vector<std::string> kMethods{"cx.v1.Campaigns.Approve", "cx.v1.Campaigns.Reject", "%"};
const std::vector<std::string> kResources{"campaign/a",
                                          "campaign/a%b",
                                          "campaign/ab",
                                          "campaign/b_d",
                                          "campaign/bcd",
                                          "user/\xc3\xa9",
                                          "user/\xc3\xa9x",
                                          "Campaign/A",
                                          "%",
                                          ""};
const std::vector<std::string> kPrefixes{
    "campaign/", "campaign/a", "campaign/a%",   "campaign/b_",
    "%",         "_",          "user/\xc3\xa9", "x'; DROP TABLE entries; --"};

template <class T>
const T& one_of(Random& random, const std::vector<T>& from) {
  return from[random.below(static_cast<std::uint32_t>(from.size()))];
}

v1::AuditEntry any_deed(Random& random) {
  return deed(random.below(1'000), one_of(random, kActors), one_of(random, kResources),
              one_of(random, kMethods), random.below(3) == 0 ? "role-missing" : "");
}

// What a request should lead to, told without SQL.
Entries expected(const Entries& entries, const v1::ListAuditRequest& request) {
  Entries out;
  for (const auto& e : entries) {
    const auto at = TimeUtil::TimestampToNanoseconds(e.at());
    if (request.has_since() && at < TimeUtil::TimestampToNanoseconds(request.since())) continue;
    if (request.has_until() && at >= TimeUtil::TimestampToNanoseconds(request.until())) continue;
    if (!request.actor().empty() && e.actor() != request.actor()) continue;
    if (!request.method().empty() && e.method() != request.method()) continue;
    if (!request.outcome().empty() && e.outcome() != request.outcome()) continue;
    if (!e.resource().starts_with(request.resource_prefix())) continue;
    if (e.sequence() <= request.after_sequence()) continue;
    out.push_back(e);
  }
  return out;
}

v1::ListAuditRequest any_request(Random& random) {
  v1::ListAuditRequest request;
  if (random.below(3) == 0)
    *request.mutable_since() = TimeUtil::MicrosecondsToTimestamp(random.below(1'000'000));
  if (random.below(3) == 0)
    *request.mutable_until() = TimeUtil::MicrosecondsToTimestamp(random.below(1'000'000));
  if (random.below(3) == 0) request.set_actor(one_of(random, kActors));
  if (random.below(3) == 0) request.set_method(one_of(random, kMethods));
  if (random.below(3) == 0) request.set_outcome(random.below(2) == 0 ? "done" : "refused");
  if (random.below(3) == 0) request.set_resource_prefix(one_of(random, kPrefixes));
  if (random.below(4) == 0) request.set_after_sequence(random.below(120));
  if (random.below(3) > 0) request.set_page_size(static_cast<int>(1 + random.below(20)));
  return request;
}

}  // namespace

TEST_CASE(
    "every list is what its filters say, of one tenant, in order, whatever is appended between two pages") {
  Fixture f;
  Random random(1);
  for (int i = 0; i < 300; ++i) f.append(one_of(random, kTenants), any_deed(random));
  f.project();
  for (int i = 0; i < 300; ++i) {
    const auto& tenant = one_of(random, kTenants);
    const auto request = any_request(random);
    CAPTURE(request.ShortDebugString());
    int appended = 0;
    const auto between = [&] {
      if (++appended > 3) return;
      f.append(one_of(random, kTenants), any_deed(random));
      f.project();
    };
    const auto shown = f.all(tenant, request, between);
    // What was appended meanwhile is at the end of it, or not there yet.
    auto whole = expected(f.entries[tenant], request);
    REQUIRE(whole.size() >= shown.size());
    CHECK(whole.size() - shown.size() <= 3);
    whole.resize(shown.size());
    CHECK(text_of(shown) == text_of(whole));
  }
}

TEST_CASE("one entry is found by its number, in its tenant's log only") {
  Fixture f;
  f.append("acme", deed(1));
  f.append("bolt", deed(2));
  f.append("bolt", deed(3));
  f.project();
  const auto entry = f.reader.get("bolt", 2, 0);
  REQUIRE(entry);
  CHECK(entry->SerializeAsString() == f.entries["bolt"][1].SerializeAsString());
  for (const std::uint64_t sequence : {std::uint64_t{0}, std::uint64_t{2}, ~std::uint64_t{0}}) {
    const auto none = f.reader.get("acme", sequence, 0);
    REQUIRE(!none);
    CHECK(none.error().code == Code::not_found);
  }
}

TEST_CASE("an export gives the whole chain, in pages of bounded size, and ends with an empty one") {
  Fixture f;
  auto big = deed(5);
  big.set_details(
      std::string(Audit::kMostDetails, '"'));  // two bytes each in JSON, and as many again in a string
  for (int i = 0; i < 1'200; ++i) f.append("acme", i % 2 == 0 ? big : deed(i));
  f.append("bolt", deed(1));
  f.project();
  for (const int limit : {0, 7, 10'000}) {
    audit::Verifier verifier;
    std::size_t pages = 0;
    for (;; ++pages) {
      v1::ExportAuditRequest request;
      request.set_after_sequence(verifier.at().sequence);
      request.set_limit(limit);
      const auto page = f.reader.export_lines("acme", request, 0);
      REQUIRE(page);
      CHECK(page->content_type() == "application/x-ndjson");
      CHECK(page->body().size() < AuditReader::kExportBytes + 20'000);
      if (page->body().empty()) break;
      std::string_view rest = page->body();
      while (!rest.empty()) {
        const auto entry = audit::from_line(rest.substr(0, rest.find('\n')));
        REQUIRE(entry);
        REQUIRE(!verifier.next(*entry));
        rest.remove_prefix(rest.find('\n') + 1);
      }
    }
    CHECK(verifier.at().sequence == 1'200);
    CHECK(verifier.at().hash == f.states["acme"].hash());
    CHECK(pages >= (limit == 7 ? 172U : 2U));
  }
  v1::ExportAuditRequest beyond;
  beyond.set_after_sequence(~std::uint64_t{0});
  CHECK(f.reader.export_lines("acme", beyond, 0)->body().empty());
}

TEST_CASE(
    "a rebuild gives the same entries, those included that the journal no longer has, and undoes tampering") {
  Fixture f;
  for (int i = 0; i < 30; ++i) f.append("acme", deed(i));
  f.project();
  f.log.project(*f.projector);  // and is synced
  const auto shard = shard_of("acme", "log");
  CHECK(f.projector->retain_after(shard) == 30);
  REQUIRE(!f.log.journal->truncate(shard, 20, {}));
  {
    // Somebody who can write the file changes what was done.
    SqliteSink sink(f.directory.file("audit.db"), "");
    REQUIRE(sink.load());
    REQUIRE(!sink.run("UPDATE entries SET actor = 'user/bob', entry = x'00' WHERE sequence = 25"));
  }
  CHECK(!f.reader.get("acme", 25, 0));
  CHECK(!f.projector->rebuild("audit"));
  f.project();
  CHECK(text_of(f.all("acme", {})) == text_of(f.entries["acme"]));
  f.append("acme", deed(31));
  f.project();
  CHECK(!audit::verify(f.all("acme", {})));
  CHECK(f.all("acme", {}).size() == 31);
}

TEST_CASE("a page token is good for its own list only") {
  Fixture f;
  for (int i = 0; i < 10; ++i) {
    f.append("acme", deed(i));
    f.append("bolt", deed(i));
  }
  f.project();
  v1::ListAuditRequest request;
  request.set_page_size(2);
  const auto token = f.reader.list("acme", request, 0)->next_page_token();
  REQUIRE(!token.empty());
  request.set_page_token(token);
  CHECK(f.reader.list("acme", request, 0));
  request.set_page_size(5);  // another size is no other list
  CHECK(f.reader.list("acme", request, 0));
  const auto refused = [&](const std::string& tenant, const v1::ListAuditRequest& r) {
    const auto page = f.reader.list(tenant, r, 0);
    return !page && page.error().type == "invalid-page-token" && page.error().pointer == "/page_token";
  };
  CHECK(refused("bolt", request));
  auto filtered = request;
  filtered.set_actor("user/ana");
  CHECK(refused("acme", filtered));
  std::vector<std::string> tokens{"x",
                                  "1",
                                  std::string(1'024, 'a'),
                                  token + "0",
                                  token + "00",
                                  token + "zz",
                                  token.substr(0, 16),
                                  token.substr(0, 17),
                                  "'; DROP TABLE entries; --"};
  // A position that is made up leads nowhere that a filter would not.
  tokens.push_back(token.substr(0, 16) + "2d");
  tokens.push_back(token.substr(0, 16) + std::string(60, '3'));
  for (const auto& bad : tokens) {
    CAPTURE(bad);
    auto r = request;
    r.set_page_token(bad);
    CHECK(refused("acme", r));
  }
}

TEST_CASE("nothing that a stranger sends is more than a value, and a time out of range is refused") {
  Fixture f;
  f.append("acme", deed(1));
  f.project();
  for (const auto& text : std::vector<std::string>{"' OR '1'='1", "\"; DROP TABLE entries; --", "%", "*",
                                                   "user/%", std::string("user/ana\0b", 10)}) {
    v1::ListAuditRequest request;
    request.set_actor(text);
    CHECK(f.all("acme", request).empty());
    request.clear_actor();
    request.set_method(text);
    CHECK(f.all("acme", request).empty());
    request.clear_method();
    request.set_resource_prefix(text);
    CHECK(f.all("acme", request).empty());
    CHECK(f.all(text, {}).empty());
  }
  for (const std::int64_t seconds : {std::int64_t{1} << 62, -(std::int64_t{1} << 62)}) {
    v1::ListAuditRequest request;
    request.mutable_since()->set_seconds(seconds);
    CHECK(f.reader.list("acme", request, 0).error().pointer == "/since");
    request.clear_since();
    request.mutable_until()->set_seconds(seconds);
    CHECK(f.reader.list("acme", request, 0).error().pointer == "/until");
  }
  CHECK(f.all("acme", {}).size() == 1);
}

TEST_CASE("before the first entry has been projected the log is not ready, rather than empty") {
  Log log;
  TemporaryDirectory directory;
  const AuditReader reader(directory.file("audit.db"), log.environment.clock());
  CHECK(reader.list("acme", {}, 0).error().type == "not-ready");
  AuditArchive archive(directory.file("audit.db"));
  REQUIRE(archive.sink().load());  // the file is there, its tables are not
  const auto entry = reader.get("acme", 1, 0);
  REQUIRE(!entry);
  CHECK(entry.error().type == "not-ready");
  CHECK(entry.error().code == Code::unavailable);
  CHECK(entry.error().detail.find(directory.file("")) == std::string::npos);
  REQUIRE(!archive.sink().reset(1));
  CHECK(reader.list("acme", {}, 0)->entries().empty());
}

TEST_CASE("the service answers from the caller's own log, on the executor") {
  Fixture f;
  Services services;
  add_audit(services, f.reader, f.log.executor);
  Services::Reply reply = Error{};
  const auto ask = [&](const std::string& tenant, const std::string& method,
                       const google::protobuf::Message& request, std::int64_t deadline = 0) {
    auto caller = std::make_shared<Caller>();
    caller->tenant = tenant;
    CallContext call;
    call.caller = caller;
    call.deadline = deadline;
    std::shared_ptr<google::protobuf::Message> copy(request.New());
    copy->CopyFrom(request);
    reply = Error{Code::internal, "none", "", ""};
    (*services.unary("cx.v1.AuditLog." + method))(call, copy,
                                                  Services::Respond([&](auto r) { reply = std::move(r); }));
    CHECK((!reply && reply.error().type == "none"));
    f.log.executor.run();
  };
  f.append("acme", deed(1));
  f.append("bolt", deed(2));
  f.project();
  ask("bolt", "List", v1::ListAuditRequest());
  REQUIRE(reply);
  const auto& list = static_cast<const v1::ListAuditReply&>(**reply);
  REQUIRE(list.entries_size() == 1);
  CHECK(list.entries(0).tenant() == "bolt");
  v1::GetAuditEntryRequest get;
  get.set_sequence(1);
  ask("acme", "Get", get);
  REQUIRE(reply);
  CHECK(static_cast<const v1::AuditEntry&>(**reply).tenant() == "acme");
  ask("bolt", "Export", v1::ExportAuditRequest());
  REQUIRE(reply);
  CHECK(static_cast<const v1::RawBody&>(**reply).body() == audit::to_line(f.entries["bolt"][0]));
  ask("bolt", "List", v1::ListAuditRequest(), f.log.environment.clock().unix_ms() - 1);
  REQUIRE(!reply);
  CHECK(reply.error().code == Code::deadline_exceeded);
}

}  // namespace cx::test
