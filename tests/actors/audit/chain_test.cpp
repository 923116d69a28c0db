#include "actors/audit/chain.hpp"

#include <doctest/doctest.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>
#include <rapidcheck.h>

#include "actors/audit/ndjson.hpp"
#include "tests/actors/audit/entries.hpp"

namespace cx::audit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::util::TimeUtil;

// Written down by hand from the contract's description, and hashed by Python's hashlib.
const std::string kFirst =
    "16:cx.v1.AuditEntry,64:0000000000000000000000000000000000000000000000000000000000000000,1:1,13:"
    "1772355600123,"
    "4:acme,8:user/ana,24:7:manager,10:compliance,,23:cx.v1.Campaigns.Approve,20:campaign/"
    "spring-sale,4:done,0:,"
    "5:req-1,32:4bf92f3577b34da6a3ce929d0e0e4736,48:{\"campaign_id\":\"spring-sale\",\"comment\":\"schön\"},";
const std::string kFirstHash = "5b3e13c24b79889e395c053fe77fb0d6d9c480efd993d665e1a6d5ddef840263";
const std::string kSecondHash = "41de0b582aa43d837197ccf43bd831f0f873b50f03759267534db6ed93e262ca";

v1::AuditEntry first() {
  v1::AuditEntry entry;
  entry.set_sequence(1);
  *entry.mutable_at() = TimeUtil::MillisecondsToTimestamp(1'772'355'600'123);
  entry.set_tenant("acme");
  entry.set_actor("user/ana");
  entry.add_roles("manager");
  entry.add_roles("compliance");
  entry.set_method("cx.v1.Campaigns.Approve");
  entry.set_resource("campaign/spring-sale");
  entry.set_outcome("done");
  entry.set_request_id("req-1");
  entry.set_trace("4bf92f3577b34da6a3ce929d0e0e4736");
  entry.set_details(R"({"campaign_id":"spring-sale","comment":"schön"})");
  entry.set_previous_hash(std::string(64, '0'));
  entry.set_hash(kFirstHash);
  return entry;
}

v1::AuditEntry second() {
  v1::AuditEntry entry;
  entry.set_sequence(2);
  *entry.mutable_at() = TimeUtil::MillisecondsToTimestamp(-1);
  entry.set_tenant("acme");
  entry.set_method("cx.v1.Campaigns.Approve");
  entry.set_resource("campaign/x");
  entry.set_outcome("refused");
  entry.set_problem("role-missing");
  entry.set_previous_hash(kFirstHash);
  entry.set_hash(kSecondHash);
  return entry;
}

// Changes some field of an entry or of its time.
void tamper(google::protobuf::Message& message, const FieldDescriptor& field) {
  const auto& r = *message.GetReflection();
  if (field.is_repeated()) {
    const auto n = r.FieldSize(message, &field);
    if (n > 0 && *rc::gen::arbitrary<bool>()) {
      if (*rc::gen::arbitrary<bool>())
        r.RemoveLast(&message, &field);
      else
        r.SetRepeatedString(&message, &field, n - 1, r.GetRepeatedString(message, &field, n - 1) + "x");
    } else {
      r.AddString(&message, &field, *rc::gen::element<std::string>("", "manager", "x"));
    }
    return;
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      auto text = r.GetString(message, &field);
      if (text.empty() || *rc::gen::arbitrary<bool>())
        text.insert(*rc::gen::inRange<std::size_t>(0, text.size() + 1), 1, *rc::gen::inRange<char>(1, 127));
      else if (const auto at = *rc::gen::inRange<std::size_t>(0, text.size()); *rc::gen::arbitrary<bool>())
        text.erase(at, 1);
      else
        text[at] = static_cast<char>(text[at] ^ 1);
      r.SetString(&message, &field, text);
      break;
    }
    case FieldDescriptor::CPPTYPE_UINT64:
      r.SetUInt64(&message, &field, r.GetUInt64(message, &field) + *rc::gen::nonZero<std::uint64_t>());
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      r.SetInt64(&message, &field,
                 *rc::gen::distinctFrom(rc::gen::arbitrary<std::int64_t>(), r.GetInt64(message, &field)));
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      r.SetInt32(&message, &field,
                 *rc::gen::distinctFrom(rc::gen::arbitrary<std::int32_t>(), r.GetInt32(message, &field)));
      break;
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      if (*rc::gen::inRange(0, 4) == 0) return r.ClearField(&message, &field);
      auto& time = *r.MutableMessage(&message, &field);
      return tamper(time,
                    *time.GetDescriptor()->field(*rc::gen::inRange(0, time.GetDescriptor()->field_count())));
    }
    default:
      RC_FAIL("an entry has a field of a new type: say how it is tampered with");
  }
}

}  // namespace

TEST_CASE("the canonical form and the hash are those that the contract describes") {
  CHECK(canonical(first()) == kFirst);
  CHECK(hash_of(first()) == kFirstHash);
  CHECK(hash_of(second()) == kSecondHash);
  const std::vector<v1::AuditEntry> log{first(), second()};
  CHECK(!verify(log));
  CHECK(!verify({}));
  // What follows a known place is a chain, too.
  CHECK(!verify({&log[1], 1}, {1, kFirstHash}));
  Verifier verifier;
  CHECK(!verifier.next(log[0]));
  CHECK(verifier.at().sequence == 1);
  CHECK(verifier.at().hash == kFirstHash);
}

TEST_CASE("no two entries have one canonical form: what is moved between fields changes it") {
  const auto changed = [](auto&& change) {
    auto entry = first();
    change(entry);
    return hash_of(entry) != kFirstHash;
  };
  CHECK(changed([](auto& e) {
    e.set_actor("user/an");
    e.set_roles(0, "amanager");
  }));
  CHECK(changed([](auto& e) {
    e.mutable_roles()->RemoveLast();
    e.set_roles(0, "managercompliance");
  }));
  CHECK(changed([](auto& e) {
    e.mutable_roles()->RemoveLast();
    e.set_roles(0, "manager,10:compliance");
  }));
  CHECK(changed([](auto& e) { std::swap(*e.mutable_request_id(), *e.mutable_problem()); }));
}

TEST_CASE("whatever is changed in whichever entry is found, and found there") {
  CHECK(rc::check([] {
    auto log = test::any_log(*rc::gen::inRange(1, 6));
    RC_ASSERT(!verify(log));
    const auto at = *rc::gen::inRange<std::size_t>(0, log.size());
    const auto before = log[at].SerializeAsString();
    const auto* type = v1::AuditEntry::descriptor();
    tamper(log[at], *type->field(*rc::gen::inRange(0, type->field_count())));
    const auto broken = verify(log);
    if (log[at].SerializeAsString() == before) {  // a change and its reverse
      RC_ASSERT(!broken);
      return;
    }
    RC_ASSERT(broken);
    RC_ASSERT(broken->sequence == at + 1);
    RC_ASSERT(!broken->why.empty());
  }));
}

TEST_CASE("an entry that is removed, repeated, moved or put in between is found") {
  CHECK(rc::check([] {
    auto log = test::any_log(*rc::gen::inRange(3, 7));
    const auto n = static_cast<std::ptrdiff_t>(log.size());
    const auto at = *rc::gen::inRange<std::ptrdiff_t>(0, n - 1);
    switch (*rc::gen::inRange(0, 3)) {
      case 0:
        log.erase(log.begin() + at);
        break;
      case 1:
        log.insert(log.begin() + at, log[static_cast<std::size_t>(*rc::gen::inRange<std::ptrdiff_t>(0, n))]);
        if (log[static_cast<std::size_t>(at)].sequence() == static_cast<std::uint64_t>(at) + 1) return;
        break;
      default:
        std::swap(log[static_cast<std::size_t>(at)], log[static_cast<std::size_t>(at) + 1]);
    }
    const auto broken = verify(log);
    RC_ASSERT(broken);
    RC_ASSERT(broken->sequence == static_cast<std::uint64_t>(at) + 1);
  }));
}

TEST_CASE("an entry whose hash was made to fit breaks the chain at the next one, and at the head") {
  auto log = std::vector<v1::AuditEntry>{first(), second()};
  log[0].set_actor("user/bob");
  log[0].set_hash(hash_of(log[0]));
  auto broken = verify(log);
  REQUIRE(broken);
  CHECK(broken->sequence == 2);
  log[1].set_previous_hash(log[0].hash());
  log[1].set_hash(hash_of(log[1]));
  Verifier verifier;
  CHECK(!verifier.next(log[0]));
  CHECK(!verifier.next(log[1]));
  CHECK(verifier.at().hash != kSecondHash);  // which is what somebody kept
}

TEST_CASE("what no hash covers has no place in an entry") {
  auto entry = first();
  entry.mutable_at()->set_nanos(123'000'001);
  CHECK(verify({&entry, 1}));
  entry = first();
  entry.GetReflection()->MutableUnknownFields(&entry)->AddVarint(99, 1);
  CHECK(verify({&entry, 1}));
  entry = first();
  entry.clear_at();
  entry.set_hash(hash_of(entry));
  CHECK(verify({&entry, 1}));
  // A number that was left out is found even where the hashes fit.
  auto late = second();
  late.set_sequence(3);
  late.set_hash(hash_of(late));
  const std::vector<v1::AuditEntry> gap{first(), late};
  REQUIRE(verify(gap));
  CHECK(verify(gap)->sequence == 2);
  // Nor has another tenant's entry a place in a log.
  auto other = second();
  other.set_tenant("bolt");
  other.set_hash(hash_of(other));
  const std::vector<v1::AuditEntry> log{first(), other};
  const auto broken = verify(log);
  REQUIRE(broken);
  CHECK(broken->why.find("bolt") != std::string::npos);
}

TEST_CASE("an entry survives its line, and a line that is none is refused") {
  CHECK(rc::check([] {
    const auto log = test::any_log(3);
    std::vector<v1::AuditEntry> read;
    for (const auto& entry : log) {
      const auto line = to_line(entry);
      RC_ASSERT(line.find('\n') == line.size() - 1);
      const auto back = from_line(line);
      RC_ASSERT(static_cast<bool>(back));
      read.push_back(*back);
    }
    RC_ASSERT(!verify(read));
  }));
  CHECK(to_line(first()).find(R"("at":"2026-03-01T09:00:00.123Z")") != std::string::npos);
  for (const char* line : {"", "{", "[]", "null", R"({"sequence":"1","extra":1})", R"({"sequence":-1})"}) {
    const auto entry = from_line(line);
    CAPTURE(line);
    CHECK((!entry || verify({&*entry, 1})));
  }
}

}  // namespace cx::audit
