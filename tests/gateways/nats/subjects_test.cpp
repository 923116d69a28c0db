#include "gateways/nats/subjects.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <set>

namespace cx::nats_gateway {
namespace {

std::vector<Method> contract() {
  static const Services none;
  return methods_of(contract_services(), none);
}

/// Whether a message to `subject` goes to who subscribed to `pattern`.
bool matches(std::string_view pattern, std::string_view subject) {
  while (true) {
    const auto p = pattern.substr(0, pattern.find('.')), s = subject.substr(0, subject.find('.'));
    if (p != "*" && p != s) return false;
    if (p.size() == pattern.size() || s.size() == subject.size())
      return p.size() == pattern.size() && s.size() == subject.size();
    pattern.remove_prefix(p.size() + 1);
    subject.remove_prefix(s.size() + 1);
  }
}

}  // namespace

TEST_CASE("the methods of the contract have words of their own, and one subscription each") {
  const auto methods = contract();
  const auto patterns = patterns_of("cx", methods);
  std::set<Words> seen;
  for (const auto& method : methods) {
    const auto words = words_of(method);
    CAPTURE(method.name);
    CHECK(seen.insert(words).second);
    const auto subject = subject_of("cx", "acme", words.service, words.method);
    const auto read = read_subject("cx", subject);
    REQUIRE(read);
    CHECK(read->tenant == "acme");
    CHECK(read->service == words.service);
    CHECK(read->method == words.method);
    int taken = 0;
    for (const auto& pattern : patterns) taken += matches(pattern, subject) ? 1 : 0;
    CHECK(taken == 1);
  }
  // What waits in the work queue and what is published or answered is nobody's request.
  for (const auto* other :
       {"cx.acme.bids.queue", "cx.acme.bids.dead", "cx.acme.replies.x", "cx.events.acme.customer.track"})
    for (const auto& pattern : patterns) CHECK_FALSE(matches(pattern, other));
}

TEST_CASE("words are those of the command line") {
  const std::pair<const char*, Words> table[] = {
      {"cx.v1.Campaigns.GoLive", {"campaigns", "go-live"}},
      {"cx.v1.ApiKeys.Rotate", {"api-keys", "rotate"}},
      {"cx.v1.Tokens.WhoAmI", {"tokens", "who-am-i"}},
      {"cx.v1.AuditLog.List", {"audit", "list"}},
      {"cx.v1.Bidding.Bid", {"bids", "bid"}},
      {"cx.v1.Events.Track", {"events", "track"}},
  };
  for (const auto& [name, words] : table)
    for (const auto& method : contract())
      if (method.name == name) CHECK(words_of(method) == words);
}

TEST_CASE("methods that would share a subject are refused") {
  auto methods = contract();
  methods.push_back(methods.front());
  CHECK_THROWS_AS(patterns_of("cx", methods), std::logic_error);
}

TEST_CASE("a subject has four names, and nothing else") {
  CHECK(read_subject("cx", "cx.acme.campaigns.list"));
  CHECK(read_subject("cx-2", "cx-2.a.b.c"));
  for (const auto* wrong :
       {"", "cx", "cx.", "cx.acme", "cx.acme.campaigns", "cx.acme.campaigns.", "cx.acme.campaigns.list.x",
        "cx.*.campaigns.list", "cx.>.campaigns.list", "cx.acme.campaigns.>", "cx.Acme.campaigns.list",
        "cx..campaigns.list", "cxx.acme.campaigns.list", "cx.acme/x.campaigns.list", "dx.acme.campaigns.list",
        "cx.a b.campaigns.list", "cx.\xc3\xa9.campaigns.list"}) {
    CAPTURE(std::string(wrong));
    CHECK_FALSE(read_subject("cx", wrong));
  }
  CHECK_FALSE(read_subject("cx", "cx." + std::string(64, 'a') + ".campaigns.list"));
}

TEST_CASE("reading any subject gives back what was written, or nothing") {
  CHECK(rc::check([](const std::string& text) {
    if (const auto read = read_subject("cx", text))
      RC_ASSERT(subject_of("cx", read->tenant, read->service, read->method) == text);
    may_answer("cx", "acme", text);
  }));
  CHECK(rc::check([] {
    const auto text = "cx." + *rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab.*>-_ A")));
    if (const auto read = read_subject("cx", text))
      RC_ASSERT(subject_of("cx", read->tenant, read->service, read->method) == text);
  }));
}

TEST_CASE("answers go to inboxes and to the tenant's replies, nowhere else") {
  for (const auto* good :
       {"_INBOX.abc", "_INBOX.abc.1", "_INBOX_acme.abc", "cx.acme.replies.1", "cx.acme.replies.shop.7"}) {
    CAPTURE(std::string(good));
    CHECK(may_answer("cx", "acme", good));
  }
  for (const auto* bad : {"", "_INBOX", "_INBOX.", "_INBOX.*", "_INBOX.>", "_INBOX.a b", "_INBOXX.a",
                          "_INBOX.a..b", "_INBOX.a.", "cx.acme.replies", "cx.acme.replies.",
                          "cx.acme.replies.*", "cx.other.replies.1", "cx.acme.events.track", "cx.journal.5",
                          "$JS.API.STREAM.DELETE.x", "$KV.cx_members.table", "_INBOX.\r\nPUB x 0"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(may_answer("cx", "acme", bad));
  }
  CHECK_FALSE(may_answer("cx", "acme", "_INBOX." + std::string(600, 'x')));
  CHECK_FALSE(may_answer("cx", "", "cx..replies.1"));
}

}  // namespace cx::nats_gateway
