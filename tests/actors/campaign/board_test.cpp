#include "actors/campaign/board.hpp"

#include <doctest/doctest.h>
#include <set>

#include "actors/campaign/lists.hpp"
#include "actors/campaign/view.hpp"
#include "runtime/random.hpp"
#include "tests/actors/campaign/driver.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx::test {
namespace {

using Ids = std::vector<std::string>;
using Page = Result<v1::CampaignPage>;

/// Campaigns of several tenants that people work on, the log of what they do, and what is read of it.
struct Board {
  /// Has the campaign's entity decide; whether it accepted. Time passes.
  bool send(const std::string& tenant, const std::string& id, const Message& command,
            const Person& who = kAna) {
    const auto address = "campaign/" + tenant + "/" + id;
    auto& entity = entities[address];
    if (!entity) entity = kind->make(address);
    Context context;
    context.now = now += 1'000;
    context.self = address;
    context.tenant = tenant;
    context.key = id;
    context.actor = who.actor;
    context.roles = who.roles;
    auto decision = entity->decide(*kind->command(command.GetDescriptor()), command, context);
    if (!decision) return false;
    if (!decision->events.empty()) log.append(address, std::move(decision->events));
    return true;
  }
  bool create(const std::string& tenant, const std::string& id, const v1::CampaignContent& content,
              const Person& who = kAna) {
    v1::CreateCampaign command;
    command.set_campaign_id(id);
    *command.mutable_campaign() = content;
    return send(tenant, id, command, who);
  }
  template <class Command>
  bool act(const std::string& tenant, const std::string& id, const Person& who = kAna) {
    auto command = with_comment<Command>();
    command.set_campaign_id(id);
    return send(tenant, id, command, who);
  }
  bool rename(const std::string& tenant, const std::string& id, const std::string& name) {
    v1::UpdateCampaign command;
    command.set_campaign_id(id);
    command.mutable_campaign()->set_name(name);
    return send(tenant, id, command);
  }
  const v1::CampaignState& state(const std::string& tenant, const std::string& id) {
    return static_cast<const v1::CampaignState&>(entities.at("campaign/" + tenant + "/" + id)->state());
  }
  /// Of a tenant's campaigns those for which `wanted` is true.
  std::vector<const v1::CampaignState*> states(const std::string& tenant) {
    std::vector<const v1::CampaignState*> out;
    for (const auto& [address, entity] : entities) {
      const auto& one = static_cast<const v1::CampaignState&>(entity->state());
      if (address.starts_with("campaign/" + tenant + "/") && one.has_content()) out.push_back(&one);
    }
    return out;
  }
  void project() { log.project(*projector); }

  /// The ids on every page, in order; campaigns are shown as their entities would show them.
  template <class Request, class Ask>
  Ids all(const std::string& tenant, Request request, const Ask& ask,
          const std::function<void()>& between = nullptr) {
    Ids out;
    for (int pages = 0; pages < 1'000; ++pages) {
      const Page page = ask(request);
      REQUIRE(page);
      for (const auto& shown : page->campaigns()) {
        out.push_back(shown.id());
        if (!between)
          CHECK(shown.ShortDebugString() == campaign::view(state(tenant, shown.id())).ShortDebugString());
      }
      if (page->next_page_token().empty()) return out;
      request.set_page_token(page->next_page_token());
      if (between) between();
    }
    FAIL("a list without an end");
    return out;
  }
  Ids list(const std::string& tenant, const v1::ListCampaigns& request = {},
           const std::function<void()>& between = nullptr) {
    return all(
        tenant, request, [&](const auto& r) { return lists.list(tenant, r, 0); }, between);
  }
  Ids search(const std::string& tenant, const std::string& query) {
    v1::ListCampaigns request;
    request.set_query(query);
    return list(tenant, request);
  }
  Ids calendar(const std::string& tenant, std::int64_t from, std::int64_t to, int page_size = 0) {
    v1::ListCalendar request;
    *request.mutable_from() = campaign::time_of(from);
    *request.mutable_to() = campaign::time_of(to);
    request.set_page_size(page_size);
    return all(tenant, request, [&](const auto& r) { return lists.calendar(tenant, r, 0); });
  }
  Ids pending(const std::string& tenant, const Person& who, int page_size = 0) {
    v1::ListPendingApprovalsRequest request;
    request.set_page_size(page_size);
    return all(tenant, request,
               [&](const auto& r) { return lists.pending(tenant, who.actor, who.roles, r, 0); });
  }

  std::int64_t now = kNow;
  const std::unique_ptr<EntityKind> kind = make_kind(Campaign{});
  std::map<std::string, std::unique_ptr<Entity>> entities;
  Log log;
  TemporaryDirectory directory;
  CampaignBoard board{directory.file("campaigns.db")};
  CampaignLists lists{directory.file("campaigns.db"), log.environment.clock()};
  std::unique_ptr<Projector> projector = log.projector(board);
};

template <class T>
const T& one_of(Random& random, const std::vector<T>& from) {
  return from[random.below(static_cast<std::uint32_t>(from.size()))];
}

const std::vector<std::string> kTenants{"acme", "acme-2", "bolt", "-"};
const std::vector<Person> kPeople{kAna, kMia, kMax, kDan, kDee, kCy, kCat};

v1::CampaignContent any_content(Random& random) {
  static const std::vector<std::string> names{"Spring Sale", "summer sale", "Soldes d'été", "50% off_today",
                                              "Retention"};
  static const std::vector<v1::Channel> channels{v1::CHANNEL_EMAIL, v1::CHANNEL_SMS, v1::CHANNEL_DISPLAY};
  auto content = content_of(random.below(3) == 0 ? 100 : random.below(2) == 0 ? 5'000 : 100'000);
  content.set_name(one_of(random, names));
  content.set_description(one_of(random, names));
  content.clear_channels();
  for (const auto channel : channels)
    if (random.below(2) == 0 || (channel == channels.back() && content.channels().empty()))
      content.add_channels(channel);
  if (random.below(2) == 0) *content.mutable_start() = campaign::time_of(kNow + random.below(100) * kHour);
  if (random.below(2) == 0)
    *content.mutable_end() = campaign::time_of(kNow + (100 + random.below(100)) * kHour);
  if (random.below(3) == 0) content.set_owner(one_of(random, kPeople).actor);
  return content;
}

/// Something that somebody does to some campaign, which it may refuse.
void anything(Board& board, Random& random) {
  const auto& tenant = one_of(random, kTenants);
  const auto id = "c-" + std::to_string(random.below(25));
  const auto& who = one_of(random, kPeople);
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      board.create(tenant, id, any_content(random), who);
      break;
    case 3:
    case 4:
    case 5:
      board.act<v1::SubmitCampaign>(tenant, id, who);
      break;
    case 6:
    case 7:
      board.act<v1::ApproveCampaign>(tenant, id, who);
      break;
    case 8:
      board.act<v1::StartCampaign>(tenant, id, who);
      break;
    case 9:
      board.act<v1::CompleteCampaign>(tenant, id, who);
      break;
    case 10:
      board.act<v1::ScheduleCampaign>(tenant, id, who);
      break;
    default:
      board.rename(tenant, id, "Renamed " + std::to_string(random.below(5)));
  }
}

std::string owner_of(const v1::CampaignState& state) {
  return state.content().owner().empty() ? state.created_by() : state.content().owner();
}

}  // namespace

TEST_CASE("lists are what their filters say, of one tenant, the last changed first") {
  Board board;
  Random random(7);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 60; ++i) anything(board, random);
    board.project();
    for (int i = 0; i < 20; ++i) {
      const auto& tenant = one_of(random, kTenants);
      v1::ListCampaigns request;
      std::set<int> stages;
      if (random.below(2) == 0)
        for (int n = 0; n < 2; ++n) {
          const auto stage = 1 + static_cast<int>(random.below(9));
          request.add_stage(static_cast<v1::CampaignStage>(stage));
          stages.insert(stage);
        }
      if (random.below(3) == 0)
        request.set_channel(random.below(2) == 0 ? v1::CHANNEL_SMS : v1::CHANNEL_DISPLAY);
      if (random.below(3) == 0) request.set_owner(one_of(random, kPeople).actor);
      if (random.below(2) == 0) request.set_page_size(static_cast<int>(1 + random.below(5)));
      std::vector<std::pair<std::int64_t, std::string>> expected;
      for (const auto* s : board.states(tenant)) {
        const auto& channels = s->content().channels();
        if (!stages.empty() && stages.count(s->stage()) == 0) continue;
        if (request.channel() != 0 &&
            std::find(channels.begin(), channels.end(), request.channel()) == channels.end())
          continue;
        if (!request.owner().empty() && owner_of(*s) != request.owner()) continue;
        expected.emplace_back(campaign::ms_of(s->updated_at()), s->id());
      }
      std::sort(expected.rbegin(), expected.rend());
      Ids ids;
      for (auto& [at, id] : expected) ids.push_back(id);
      CAPTURE(request.ShortDebugString());
      CHECK(board.list(tenant, request) == ids);
    }
  }
}

TEST_CASE(
    "pages are stable: what is created meanwhile shifts nothing, and nothing is shown twice or left out") {
  Board board;
  Ids before;
  for (int i = 0; i < 23; ++i) {
    const auto id = "c-" + std::to_string(i);
    REQUIRE(board.create("acme", id, content_of(100)));
    before.insert(before.begin(), id);
  }
  board.project();
  v1::ListCampaigns request;
  request.set_page_size(4);
  int made = 0;
  CHECK(board.list("acme", request, [&] {
    REQUIRE(board.create("acme", "late-" + std::to_string(++made), content_of(100)));
    REQUIRE(board.create("bolt", "late-" + std::to_string(made), content_of(100)));
    board.project();
  }) == before);
  CHECK(made > 0);
}

TEST_CASE("campaigns are found by words of their id, name and description, and by nothing else") {
  Board board;
  auto content = content_of(100);
  content.set_name("Soldes d'été");
  content.set_description("Everything must go, 50% off");
  REQUIRE(board.create("acme", "summer-2026", content));
  REQUIRE(board.create("acme", "spring-sale", content_of(100)));
  REQUIRE(board.create("bolt", "spring-sale", content_of(100)));
  REQUIRE(board.create("-", "spring-sale", content_of(100)));
  board.project();
  const auto both = board.list("acme");
  REQUIRE(both.size() == 2);
  const Ids summer{"summer-2026"}, spring{"spring-sale"};
  for (const char* query :
       {"summer", "SUMM", "summer-2026", "summer-", "soldes", "été", "ETE", "d'été", "must 50%",
        "go everything", "off summer soldes", "—  soldes", "\"soldes\"", "must\tgo\n", "2026"})
    CHECK_MESSAGE(board.search("acme", query) == summer, query);
  CHECK(board.search("acme", "spring") == spring);
  CHECK(board.search("bolt", "sale") == spring);
  CHECK(board.search("-", "spring") == spring);
  CHECK(board.search("bolt", "summer").empty());
  for (const char* query : {"ummer", "acme", "bolt", "soldes spring", "user", "mu_t", "%ust"})
    CHECK_MESSAGE(board.search("acme", query).empty(), query);
  REQUIRE(board.rename("acme", "summer-2026", "Winter"));
  board.project();
  CHECK(board.search("acme", "soldes").empty());
  CHECK(board.search("acme", "winter") == summer);
}

TEST_CASE("nothing that is searched for is a syntax error, or more than words") {
  Board board;
  REQUIRE(board.create("acme", "spring-sale", content_of(100)));
  REQUIRE(board.create("bolt", "secret", content_of(100)));
  board.project();
  Random random(3);
  std::vector<std::string> queries{"\"",
                                   "\"\"",
                                   "'",
                                   "*",
                                   "(",
                                   ")",
                                   "AND",
                                   "NOT spring",
                                   "NEAR(a b)",
                                   "a OR b",
                                   "id:spring",
                                   "tenant:bolt",
                                   "{tenant} : bolt",
                                   "\" tenant : \"bolt",
                                   "^spring",
                                   "-",
                                   "+",
                                   "a\"b*c",
                                   "'; DROP TABLE campaigns; --",
                                   std::string(200, '"'),
                                   std::string("a\0b", 3),
                                   "\x01\x02",
                                   "\xff\xfe",
                                   "日本語",
                                   "👍",
                                   std::string(66, 'a') + " " + std::string(100, '*')};
  for (int i = 0; i < 300; ++i) {
    static const std::vector<std::string> pieces{"\"",     "'",      "*",  "(", ")", " ", "AND", "OR",
                                                 "NOT",    "NEAR",   ":",  "{", "}", "^", "-",   "+",
                                                 "spring", "tenant", "\t", "é", ",", ";", "\\"};
    std::string query;
    for (auto n = random.below(12); n > 0; --n) query += one_of(random, pieces);
    queries.push_back(query);
  }
  for (const auto& query : queries) {
    v1::ListCampaigns request;
    request.set_query(query);
    const auto page = board.lists.list("acme", request, 0);
    CAPTURE(query);
    REQUIRE(page);
    for (const auto& shown : page->campaigns()) CHECK(shown.id() == "spring-sale");
  }
  for (const std::string text : {"' OR 1=1 --", "%", "user/%"}) {
    v1::ListCampaigns request;
    request.set_owner(text);
    CHECK(board.list("acme", request).empty());
    CHECK(board.list(text).empty());
  }
  CHECK(board.list("acme").size() == 1);
}

TEST_CASE("the calendar has what runs in a time, by start") {
  Board board;
  Random random(11);
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 60; ++i) anything(board, random);
    board.project();
    for (int i = 0; i < 30; ++i) {
      const auto& tenant = one_of(random, kTenants);
      const auto from = kNow + static_cast<std::int64_t>(random.below(200)) * kHour,
                 to = from + 1 + static_cast<std::int64_t>(random.below(60)) * kHour;
      std::vector<std::pair<std::int64_t, std::string>> expected;
      for (const auto* s : board.states(tenant)) {
        const auto& c = s->content();
        std::optional<std::int64_t> start, end;
        if (s->has_scheduled_at()) start = campaign::ms_of(s->scheduled_at());
        if (s->has_live_at()) start = campaign::ms_of(s->live_at());
        if (c.has_start()) start = campaign::ms_of(c.start());
        if (s->has_completed_at()) end = campaign::ms_of(s->completed_at());
        if (c.has_end()) end = campaign::ms_of(c.end());
        if (start && *start < to && (!end || *end > from)) expected.emplace_back(*start, s->id());
      }
      std::sort(expected.begin(), expected.end());
      Ids ids;
      for (auto& [at, id] : expected) ids.push_back(id);
      CHECK(board.calendar(tenant, from, to, static_cast<int>(random.below(4))) == ids);
    }
  }
  v1::ListCalendar request;
  *request.mutable_from() = campaign::time_of(kNow);
  *request.mutable_to() = campaign::time_of(kNow);
  CHECK(board.lists.calendar("acme", request, 0).error().type == "invalid-time-range");
  request.mutable_to()->set_seconds(std::int64_t{1} << 62);
  CHECK(board.lists.calendar("acme", request, 0).error().pointer == "/to");
}

TEST_CASE("start and end of the calendar's time are within and without, as a campaign's are") {
  Board board;
  auto content = content_of(100);
  *content.mutable_start() = campaign::time_of(kNow + 10 * kHour);
  *content.mutable_end() = campaign::time_of(kNow + 20 * kHour);
  REQUIRE(board.create("acme", "c", content));
  board.project();
  const auto in = [&](std::int64_t from, std::int64_t to) {
    return board.calendar("acme", from, to) == Ids{"c"};
  };
  CHECK(!in(kNow, kNow + 10 * kHour));
  CHECK(in(kNow, kNow + 10 * kHour + 1));
  CHECK(in(kNow + 20 * kHour - 1, kNow + 30 * kHour));
  CHECK(!in(kNow + 20 * kHour, kNow + 30 * kHour));
}

TEST_CASE("pending approvals are those that the approver can still give, the longest waiting first") {
  Board board;
  Random random(5);
  int approvals = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 60; ++i) anything(board, random);
    board.project();
    for (const auto& tenant : kTenants)
      for (const auto& who : kPeople) {
        std::vector<std::pair<std::int64_t, std::string>> expected;
        for (const auto* s : board.states(tenant)) {
          // Whether the entity takes it; nobody hears of it.
          if (s->stage() != v1::CAMPAIGN_STAGE_IN_REVIEW) continue;
          auto command = with_comment<v1::ApproveCampaign>();
          command.set_campaign_id(s->id());
          command.set_creative_reviewed(true);
          command.set_legal_reviewed(true);
          Context context;
          context.now = board.now;
          context.actor = who.actor;
          context.roles = who.roles;
          if (Campaign::handle(*s, command, context))
            expected.emplace_back(campaign::ms_of(s->review().submitted_at()), s->id());
        }
        std::sort(expected.begin(), expected.end());
        Ids ids;
        for (auto& [at, id] : expected) ids.push_back(id);
        approvals += static_cast<int>(ids.size());
        CHECK(board.pending(tenant, who, static_cast<int>(random.below(3))) == ids);
      }
  }
  CHECK(approvals > 100);
}

TEST_CASE("a rebuild gives the same rows, also of campaigns whose records are gone") {
  Board board;
  Random random(9);
  for (int i = 0; i < 400; ++i) anything(board, random);
  board.project();
  board.project();
  std::map<std::string, Ids> before;
  for (const auto& tenant : kTenants) before[tenant] = board.list(tenant);
  const auto same = [&] {
    for (const auto& tenant : kTenants) {
      CHECK(board.list(tenant) == before[tenant]);
      CHECK(board.search(tenant, "sale").size() <= before[tenant].size());
    }
  };
  CHECK(!board.projector->rebuild("campaigns"));
  board.project();
  same();

  CHECK(board.log.forget_some(*board.kind, random) > 50);
  CHECK(!board.projector->rebuild("campaigns"));
  board.project();
  same();
  CHECK(board.projector->status().front().missed == 0);
  // And it goes on from there.
  for (int i = 0; i < 100; ++i) anything(board, random);
  board.project();
  for (const auto& tenant : kTenants) {
    CHECK(board.list(tenant).size() == board.states(tenant).size());
    board.search(tenant, "renamed");
  }
}

TEST_CASE("the service answers for the caller, and of others' approvals where their roles are known") {
  Board board;
  Services services;
  add_campaign_lists(
      services, board.lists, board.log.executor,
      [](const std::string& tenant, const std::string& actor) -> std::optional<std::vector<std::string>> {
        if (tenant != "acme") return std::nullopt;
        for (const auto& person : kPeople)
          if (person.actor == actor) return person.roles;
        return std::nullopt;
      });
  for (const std::string tenant : {"acme", "bolt"}) {
    REQUIRE(board.create(tenant, "of-" + tenant, content_of(5'000)));
    REQUIRE(board.act<v1::SubmitCampaign>(tenant, "of-" + tenant));
  }
  board.project();
  const auto ask = [&](const std::string& tenant, const Person& who, const std::string& method,
                       const google::protobuf::Message& request) -> Result<Ids> {
    auto caller = std::make_shared<Caller>();
    caller->tenant = tenant;
    caller->actor = who.actor;
    caller->roles = who.roles;
    CallContext call;
    call.caller = caller;
    std::shared_ptr<google::protobuf::Message> copy(request.New());
    copy->CopyFrom(request);
    Services::Reply reply = Error{Code::internal, "none", "", ""};
    (*services.unary("cx.v1.Campaigns." + method))(call, copy,
                                                   Services::Respond([&](auto r) { reply = std::move(r); }));
    board.log.executor.run();
    if (!reply) return reply.error();
    Ids ids;
    for (const auto& one : static_cast<const v1::CampaignPage&>(**reply).campaigns()) ids.push_back(one.id());
    return ids;
  };
  v1::ListPendingApprovalsRequest request;
  CHECK(*ask("acme", kMia, "ListPendingApprovals", request) == Ids{"of-acme"});
  CHECK(*ask("bolt", kMia, "ListPendingApprovals", request) == Ids{"of-bolt"});
  CHECK(ask("acme", kAna, "ListPendingApprovals", request)->empty());
  request.set_approver("user/mia");
  CHECK(*ask("acme", kAna, "ListPendingApprovals", request) == Ids{"of-acme"});
  CHECK(ask("bolt", kAna, "ListPendingApprovals", request).error().code == Code::not_found);
  request.set_approver("user/cy");
  CHECK(ask("acme", kMia, "ListPendingApprovals", request)->empty());
  request.set_approver("' OR 1=1");
  CHECK(ask("acme", kMia, "ListPendingApprovals", request).error().pointer == "/approver");
  CHECK(*ask("bolt", kCy, "List", v1::ListCampaigns()) == Ids{"of-bolt"});
  v1::ListCalendar calendar;
  *calendar.mutable_from() = campaign::time_of(kNow);
  *calendar.mutable_to() = campaign::time_of(kNow + kHour);
  CHECK(ask("acme", kMia, "Calendar", calendar)->empty());

  // A token is its list's: not another tenant's, not another approver's, not another request's.
  REQUIRE(board.create("acme", "more", content_of(5'000)));
  REQUIRE(board.act<v1::SubmitCampaign>("acme", "more"));
  board.project();
  v1::ListPendingApprovalsRequest first;
  first.set_page_size(1);
  const auto token = board.lists.pending("acme", "user/mia", kMia.roles, first, 0)->next_page_token();
  REQUIRE(!token.empty());
  first.set_page_token(token);
  CHECK(*ask("acme", kMia, "ListPendingApprovals", first) == Ids{"more"});
  CHECK(ask("acme", kMax, "ListPendingApprovals", first).error().type == "invalid-page-token");
  CHECK(ask("bolt", kMia, "ListPendingApprovals", first).error().type == "invalid-page-token");
  v1::ListCampaigns other;
  other.set_page_token(token);
  CHECK(ask("acme", kMia, "List", other).error().type == "invalid-page-token");
  calendar.set_page_token(token.substr(0, 16) + "2f2f");
  CHECK(ask("acme", kMia, "Calendar", calendar).error().type == "invalid-page-token");
}

}  // namespace cx::test
