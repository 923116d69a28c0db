#include "actors/journey/lifecycle.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <map>
#include <set>
#include <thread>

#include "actors/journey/address.hpp"
#include "runtime/random.hpp"
#include "tests/actors/journey_management/world.hpp"
#include "tests/queued_executor.hpp"

namespace cx::test {
namespace {

using journey::Verb;

constexpr auto kDraft = v1::JOURNEY_STAGE_DRAFT, kActive = v1::JOURNEY_STAGE_ACTIVE,
               kPaused = v1::JOURNEY_STAGE_PAUSED, kCompleted = v1::JOURNEY_STAGE_COMPLETED,
               kArchived = v1::JOURNEY_STAGE_ARCHIVED;

Result<v1::JourneyStatus> move(World& world, Verb verb, const std::string& tenant, const std::string& id) {
  if (verb == Verb::activate) return world.lifecycle->activate(tenant, id, 0, "user/ana");
  return world.lifecycle->change(verb, tenant, id, "user/ana");
}

/// Takes a new journey to a stage.
void bring(World& world, const std::string& id, v1::JourneyStage stage) {
  world.define("acme", id, "Signed Up");
  if (stage == kDraft) return;
  if (stage != kArchived) REQUIRE(move(world, Verb::activate, "acme", id));
  if (stage == kPaused) REQUIRE(move(world, Verb::pause, "acme", id));
  if (stage == kCompleted) REQUIRE(move(world, Verb::complete, "acme", id));
  if (stage == kArchived) REQUIRE(move(world, Verb::archive, "acme", id));
}

std::vector<std::string> started_by(const World& world, const std::string& tenant, const std::string& event) {
  std::vector<std::string> out;
  for (const auto& one : world.book->started_by(tenant, event))
    out.push_back(one.journey() + "@" + std::to_string(one.revision()));
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "a journey goes from stage to stage only as the contract says, and the refusal says what can be done") {
  World world;
  struct Row {
    v1::JourneyStage from;
    std::map<Verb, v1::JourneyStage> to;  // others are refused
    const char* allowed;
  };
  const Row rows[] = {
      {kDraft, {{Verb::activate, kActive}, {Verb::archive, kArchived}}, "activate, archive."},
      {kActive,
       {{Verb::activate, kActive},
        {Verb::pause, kPaused},
        {Verb::complete, kCompleted},
        {Verb::archive, kArchived}},
       "pause, complete, archive."},
      {kPaused,
       {{Verb::resume, kActive}, {Verb::complete, kCompleted}, {Verb::archive, kArchived}},
       "resume, complete, archive."},
      {kCompleted, {{Verb::archive, kArchived}}, "archive."},
      {kArchived, {{Verb::archive, kArchived}}, "as a new journey."},
  };
  int n = 0;
  for (const auto& row : rows)
    for (const auto verb : {Verb::activate, Verb::pause, Verb::resume, Verb::complete, Verb::archive}) {
      const auto id = "j-" + std::to_string(++n);
      bring(world, id, row.from);
      CAPTURE(row.from);
      CAPTURE(static_cast<int>(verb));
      const auto before = *world.lifecycle->status("acme", id);
      CHECK(before.stage() == row.from);
      const auto done = move(world, verb, "acme", id);
      const auto after = *world.lifecycle->status("acme", id);
      const auto to = row.to.find(verb);
      REQUIRE(static_cast<bool>(done) == (to != row.to.end()));
      if (done) {
        CHECK(done->stage() == to->second);
        CHECK(done->ShortDebugString() == after.ShortDebugString());
        CHECK(done->changed_by() == "user/ana");
        CHECK(world.book->stage("acme", id) == to->second);
      } else {
        CHECK(done.error().code == Code::conflict);
        CHECK(done.error().type == "wrong-stage");
        CHECK_MESSAGE(done.error().detail.ends_with(row.allowed), done.error().detail);
        CHECK(after.ShortDebugString() == before.ShortDebugString());
      }
    }
}

TEST_CASE("what is answered is in the book: customers start with the active revision, and only while it is") {
  World world;
  CHECK(world.define("acme", "welcome", "Signed Up") == 1);
  CHECK(started_by(world, "acme", "Signed Up").empty());
  CHECK(world.book->find("acme", "welcome", 1) == nullptr);

  REQUIRE(move(world, Verb::activate, "acme", "welcome"));
  CHECK(started_by(world, "acme", "Signed Up") == Names{"welcome@1"});
  CHECK(started_by(world, "acme", "Other").empty());
  CHECK(started_by(world, "bolt", "Signed Up").empty());
  CHECK(world.book->active("acme", "welcome")->revision() == 1);
  const auto first = world.book->find("acme", "welcome", 1);
  REQUIRE(first);
  CHECK(first->trigger_event() == "Signed Up");
  CHECK(first->journey().id() == "welcome");

  // A new revision is nothing before it is activated; an instance of the old one finds that still.
  CHECK(world.define("acme", "welcome", "Registered") == 2);
  CHECK(started_by(world, "acme", "Signed Up") == Names{"welcome@1"});
  CHECK(world.define("acme", "welcome", "Third") == 3);
  CHECK(world.lifecycle->activate("acme", "welcome", 2, "user/max")->revision() == 2);
  CHECK(started_by(world, "acme", "Signed Up").empty());
  CHECK(started_by(world, "acme", "Registered") == Names{"welcome@2"});
  CHECK(world.book->find("acme", "welcome", 1) == first);  // compiled once
  CHECK(world.book->find("acme", "welcome", 3) == nullptr);

  REQUIRE(move(world, Verb::pause, "acme", "welcome"));
  CHECK(started_by(world, "acme", "Registered").empty());
  CHECK_FALSE(world.book->active("acme", "welcome"));
  CHECK(world.book->find("acme", "welcome", 2));
  CHECK(move(world, Verb::resume, "acme", "welcome")->revision() == 2);
  CHECK(started_by(world, "acme", "Registered") == Names{"welcome@2"});

  world.restart();
  CHECK(started_by(world, "acme", "Registered") == Names{"welcome@2"});
  CHECK(world.book->find("acme", "welcome", 1));
  CHECK(world.book->find("acme", "welcome", 2));
  CHECK(world.book->find("acme", "welcome", 3) == nullptr);
  CHECK(world.book->find("acme", "other", 1) == nullptr);
  CHECK(world.book->find("none", "welcome", 1) == nullptr);
  CHECK(world.book->stage("acme", "other") == kDraft);
  CHECK_FALSE(world.book->error());

  world.define("acme", "by-api", "");
  REQUIRE(move(world, Verb::activate, "acme", "by-api"));
  CHECK(started_by(world, "acme", "").empty());
  CHECK(world.book->active("acme", "by-api")->revision() == 1);
}

TEST_CASE("the book is what a model says, whatever is done to many journeys, before and after a restart") {
  World world;
  Random random(5);
  struct Model {
    std::uint64_t latest = 0, active = 0;
    v1::JourneyStage stage = kDraft;
    std::map<std::uint64_t, std::string> events;  // by revision
    std::set<std::uint64_t> started;              // revisions that were ever active
  };
  std::map<std::pair<std::string, std::string>, Model> models;
  const auto compare = [&] {
    std::map<std::pair<std::string, std::string>, std::set<std::string>> expected;
    for (const auto& [key, model] : models) {
      const auto& [tenant, id] = key;
      CHECK(world.book->stage(tenant, id) == model.stage);
      CHECK(world.book->active(tenant, id).has_value() == (model.stage == kActive));
      for (std::uint64_t r = 1; r <= model.latest; ++r)
        CHECK((world.book->find(tenant, id, r) != nullptr) == model.started.contains(r));
      if (model.stage == kActive)
        expected[{tenant, model.events.at(model.active)}].insert(id + "@" + std::to_string(model.active));
    }
    for (const std::string tenant : {"acme", "bolt"})
      for (const std::string event : {"A", "B", "C"}) {
        const auto all = started_by(world, tenant, event);
        CHECK(std::set<std::string>(all.begin(), all.end()) == expected[{tenant, event}]);
      }
  };
  for (int i = 0; i < 400; ++i) {
    const std::string tenant = random.below(2) == 0 ? "acme" : "bolt";
    const auto id = "j-" + std::to_string(random.below(4));
    auto& model = models[{tenant, id}];
    const auto what = random.below(7);
    if (what <= 1 || model.latest == 0) {
      const std::string event(1, static_cast<char>('A' + random.below(3)));
      model.latest = world.define(tenant, id, event);
      model.events[model.latest] = event;
    } else if (what <= 3) {
      const auto revision = 1 + random.below(static_cast<std::uint32_t>(model.latest));
      const auto done = world.lifecycle->activate(tenant, id, revision, "user/ana");
      CHECK(static_cast<bool>(done) == (model.stage == kDraft || model.stage == kActive));
      if (done) {
        model.stage = kActive;
        model.active = revision;
        model.started.insert(revision);
      }
    } else {
      // Archived is for ever: seldom.
      const auto verb = random.below(20) == 0 ? Verb::archive
                        : what == 4           ? Verb::pause
                        : what == 5           ? Verb::resume
                                              : Verb::pause;
      if (const auto done = move(world, verb, tenant, id)) model.stage = done->stage();
    }
    if (i % 40 == 39) compare();
  }
  compare();
  world.restart();
  compare();
}

TEST_CASE("an activation needs the channels and templates that its steps name, of their kind") {
  struct Row {
    v1::Channel channel;
    const char *via, *with, *type;
  };
  const Row rows[] = {
      {v1::CHANNEL_EMAIL, "mail", "hello", ""},
      {v1::CHANNEL_WEBHOOK, "hook", "hook", ""},
      {v1::CHANNEL_EMAIL, "post", "hello", "no-such-channel"},
      {v1::CHANNEL_EMAIL, "mail", "hallo", "no-such-template"},
      {v1::CHANNEL_EMAIL, "hook", "hello", "wrong-channel"},
      {v1::CHANNEL_EMAIL, "mail", "hook", "wrong-template"},
      {v1::CHANNEL_WEBHOOK, "mail", "hook", "wrong-channel"},
      {v1::CHANNEL_SMS, "mail", "hello", "wrong-channel"},
  };
  World world;
  int n = 0;
  for (const auto& row : rows) {
    auto definition = journey_of("Signed Up");
    auto& send = *definition.mutable_steps(0)->mutable_send();
    send.set_channel(row.channel);
    send.set_via(row.via);
    send.set_template_(row.with);
    const auto id = "j-" + std::to_string(++n);
    world.put(journey::kJourneyKind, "acme", id, definition);
    const auto done = world.lifecycle->activate("acme", id, 0, "user/ana");
    CAPTURE(n);
    CHECK((done ? "" : done.error().type) == row.type);
    if (!done) {
      CHECK(done.error().code == Code::conflict);
      CHECK_MESSAGE(done.error().detail.find("Step hello") == 0, done.error().detail);
      CHECK(world.book->stage("acme", id) == kDraft);
    }
  }
}

TEST_CASE("an activation names a revision that there is and that is valid by the rules of now") {
  World world;
  CHECK(world.lifecycle->activate("acme", "none", 0, "user/ana").error().type == "no-such-journey");
  CHECK(world.lifecycle->status("acme", "none").error().type == "no-such-journey");
  CHECK(move(world, Verb::pause, "acme", "none").error().type == "no-such-journey");
  world.define("acme", "welcome", "Signed Up");
  const auto missing = world.lifecycle->activate("acme", "welcome", 7, "user/ana");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().type == "no-such-revision");
  CHECK(missing.error().pointer == "/revision");

  // As an older build would have stored it.
  auto broken = journey_of("Signed Up");
  broken.mutable_steps(1)->set_next("nowhere");
  v1::Document document;
  document.set_kind(journey::kJourneyKind);
  document.set_tenant("acme");
  document.set_id("welcome");
  document.set_revision(2);
  document.mutable_body()->set_type("cx.v1.Journey");
  document.mutable_body()->set_bytes(broken.SerializeAsString());
  REQUIRE_FALSE(world.store->put({&document, 1}).front());
  const auto invalid = world.lifecycle->activate("acme", "welcome", 0, "user/ana");
  REQUIRE_FALSE(invalid);
  CHECK(invalid.error().type == "unknown-step");
  CHECK(invalid.error().detail.starts_with("Revision 2 of journey welcome is not valid: "));
  CHECK(world.lifecycle->activate("acme", "welcome", 1, "user/ana"));
}

TEST_CASE("a definition is stored only if it is valid, and the refusal says where") {
  World world;
  auto broken = journey_of("Signed Up");
  broken.mutable_steps(1)->set_next("nowhere");
  const auto refused =
      world.catalog->put({journey::kJourneyKind, "acme", "welcome"}, broken, std::nullopt, "user/ana");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::invalid_argument);
  CHECK(refused.error().type == "unknown-step");
  CHECK(refused.error().pointer == "/steps/1/next");
}

TEST_CASE("no more journeys are active than may be, also when many are activated at once") {
  World world;
  constexpr int kAll = 112;
  for (int i = 0; i < kAll; ++i) world.define("acme", "j-" + std::to_string(i), "Signed Up");
  world.define("bolt", "j-0", "Signed Up");
  std::atomic<int> next{0}, activated{0}, refused{0};
  std::atomic<bool> done{false};
  std::thread reader([&] {  // customers look all the time
    while (!done)
      for (const auto& one : world.book->started_by("acme", "Signed Up"))
        REQUIRE(world.book->find("acme", one.journey(), one.revision()));
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = next++; i < kAll; i = next++) {
        const auto result = world.lifecycle->activate("acme", "j-" + std::to_string(i), 0, "user/ana");
        if (!result) CHECK(result.error().type == "too-many-journeys");
        ++(result ? activated : refused);
      }
    });
  for (auto& thread : threads) thread.join();
  done = true;
  reader.join();
  CHECK(activated == journey::Lifecycle::kMostActive);
  CHECK(refused == kAll - static_cast<int>(journey::Lifecycle::kMostActive));
  CHECK(world.book->started_by("acme", "Signed Up").size() == journey::Lifecycle::kMostActive);
  CHECK(world.lifecycle->activate("bolt", "j-0", 0, "user/ana"));

  // One that pauses makes room, and then there is none for it.
  const auto active = world.book->started_by("acme", "Signed Up");
  REQUIRE(move(world, Verb::pause, "acme", active.front().journey()));
  std::string other;
  for (int i = 0; i < kAll && other.empty(); ++i)
    if (world.book->stage("acme", "j-" + std::to_string(i)) == kDraft) other = "j-" + std::to_string(i);
  REQUIRE(move(world, Verb::activate, "acme", other));
  CHECK(move(world, Verb::resume, "acme", active.front().journey()).error().type == "too-many-journeys");
  REQUIRE(move(world, Verb::complete, "acme", other));
  CHECK(move(world, Verb::resume, "acme", active.front().journey()));
}

TEST_CASE("the services say what is wrong with a definition, and ask the instance for its path") {
  World world;
  QueuedExecutor executor;
  Services services;
  std::string asked;
  journey::add_lifecycle(
      services, *world.lifecycle, executor,
      [&](const CallContext&, const std::string& to, const MessagePtr& command, const Respond& respond) {
        CHECK(command->GetTypeName() == "cx.v1.GetRun");
        asked = to;
        respond(MessagePtr(std::make_shared<v1::JourneyPath>()));
      });
  auto caller = std::make_shared<Caller>();
  caller->tenant = "acme";
  caller->actor = "user/ana";
  CallContext call;
  call.caller = caller;
  const auto ask = [&](const std::string& method, const auto& request) {
    Services::Reply reply = Error{Code::internal, "none", "", ""};
    (*services.unary("cx.v1.Journeys." + method))(call,
                                                  std::make_shared<std::decay_t<decltype(request)>>(request),
                                                  Services::Respond([&](auto r) { reply = std::move(r); }));
    executor.run();
    return reply;
  };
  v1::ValidateJourney validate;
  *validate.mutable_journey() = journey_of("Signed Up");
  validate.mutable_journey()->mutable_steps(0)->set_next("nowhere");
  validate.mutable_journey()->mutable_steps(1)->mutable_wait()->mutable_duration()->set_seconds(-1);
  auto reply = ask("Validate", validate);
  REQUIRE(reply);
  CHECK(static_cast<const v1::JourneyProblems&>(**reply).problems_size() >= 2);

  world.define("acme", "welcome", "Signed Up");
  v1::ActivateJourney activate;
  activate.set_id("welcome");
  REQUIRE(ask("Activate", activate));
  v1::ChangeJourney change;
  change.set_id("welcome");
  for (const auto* verb : {"Pause", "Resume", "Complete", "Archive"}) REQUIRE(ask(verb, change));
  CHECK(world.book->stage("acme", "welcome") == kArchived);

  v1::GetJourneyPath get;
  get.set_id("welcome");
  get.set_customer_id("c-81f");
  CHECK(ask("Path", get));
  CHECK(asked == "journey/acme/welcome:c-81f");
  get.set_key("cart 7");
  CHECK(ask("Path", get));
  CHECK(asked == "journey/acme/welcome@" + journey::instance_key("cart 7") + ":c-81f");
}

}  // namespace cx::test
