#include "gateways/http/router.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace cx::http {
namespace {

Page page(const std::string& name) {
  return [name](Encoding) { return RawReply::document(name); };
}

struct Served {
  explicit Served(const std::vector<std::string>& patterns) {
    for (const auto& pattern : patterns) router.add(pattern, "text/plain", page(pattern), pattern);
  }
  /// The pattern that serves a path, and the values of its variables: "/a/{b} x".
  std::string at(std::string_view path) const {
    Values values;
    const auto* resource = router.find(path, values);
    if (resource == nullptr) return "";
    auto text = resource->at(Verb::get)->page(Encoding::identity).body;
    for (std::size_t i = 0; i < values.size; ++i) (text += ' ') += values.values[i];
    CHECK(values.size == resource->at(Verb::get)->variables.size());
    return text;
  }

  Metrics metrics{"test"};
  Router router{{}, metrics};
};

}  // namespace

TEST_CASE("a path finds its pattern: literals before variables, verbs before none") {
  const Served served({"/", "/v1/campaigns", "/v1/campaigns/", "/v1/campaigns:calendar", "/v1/campaigns/{id}",
                       "/v1/campaigns/{id}:approve", "/v1/campaigns/special",
                       "/v1/campaigns/{id}/notes/{note.id}", "/v1/campaigns/special/notes",
                       "/v1/things/{name}", "/v1/{kind}/{name}/x"});
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"},
      {"/v1/campaigns", "/v1/campaigns"},
      {"/v1/campaigns/", "/v1/campaigns/"},
      {"/v1/campaigns:calendar", "/v1/campaigns:calendar"},
      {"/v1/campaigns/a", "/v1/campaigns/{id} a"},
      {"/v1/campaigns/a%3Ab", "/v1/campaigns/{id} a%3Ab"},
      {"/v1/campaigns/a:approve", "/v1/campaigns/{id}:approve a"},
      {"/v1/campaigns/a:b:approve", "/v1/campaigns/{id}:approve a:b"},
      {"/v1/campaigns/special", "/v1/campaigns/special"},
      {"/v1/campaigns/special:approve", "/v1/campaigns/{id}:approve special"},
      {"/v1/campaigns/special/notes", "/v1/campaigns/special/notes"},
      {"/v1/campaigns/special/notes/7", "/v1/campaigns/{id}/notes/{note.id} special 7"},
      {"/v1/campaigns/a/notes/7", "/v1/campaigns/{id}/notes/{note.id} a 7"},
      {"/v1/campaigns/a/x", "/v1/{kind}/{name}/x campaigns a"},
      {"/v1/things/a:b", "/v1/things/{name} a:b"},  // no verbs there: the colon is the name's
      // Unknown:
      {"", ""},
      {"*", ""},
      {"v1/campaigns", ""},
      {"//", ""},
      {"/v1", ""},
      {"/v1/", ""},
      {"/v1/Campaigns", ""},
      {"/v1/campaigns:", ""},
      {"/v1/campaigns:x", ""},
      {"/v1/campaigns/a:x", ""},
      {"/v1/campaigns/:approve", ""},
      {"/v1/campaigns/a:", ""},
      {"/v1/campaigns//notes/7", ""},
      {"/v1/campaigns/a/notes/", ""},
      {"/v1/campaigns/a/notes/7/", ""},
      {"/v1/%63ampaigns", ""},
  };
  for (const auto& [path, expected] : cases) {
    CAPTURE(std::string(path));
    CHECK(served.at(path) == expected);
  }
}

TEST_CASE("two things at one path, and patterns that are none, are refused at start") {
  Served served({"/a/{b}", "/a/c"});
  for (const auto* wrong :
       {"/a/{b}", "/a/{other}", "/a/c", "", "a", "/{}", "/{a", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"}) {
    CAPTURE(std::string(wrong));
    CHECK_THROWS_AS(served.router.add(wrong, "text/plain", page("x"), "x"), std::logic_error);
  }
}

TEST_CASE("an unknown path is told what it may have meant") {
  const Served served({"/v1/campaigns", "/v1/campaigns:calendar", "/v1/campaigns/{id}",
                       "/v1/campaigns/{id}:approve", "/v1/campaigns/{id}/notes", "/healthz"});
  const std::pair<const char*, const char*> cases[] = {
      {"/v1/campaign", "/v1/campaigns"},
      {"/v1/campains/x", "/v1/campaigns"},
      {"/v1/campaigns:calender", "/v1/campaigns:calendar"},
      {"/v1/campaigns/x:aprove", "/v1/campaigns/{id}:approve"},
      {"/v1/campaigns/x/note", "/v1/campaigns/{id}/notes"},
      {"/health", "/healthz"},
      {"/entirely/else", ""},
      {"", ""},
      {"*", ""},
  };
  for (const auto& [path, expected] : cases) {
    CAPTURE(std::string(path));
    const auto near = served.router.near(path);
    CHECK((near.empty() ? "" : near.front()) == expected);
    CHECK(near.size() <= 3);
  }
}

TEST_CASE("a resource answers HEAD as GET, and says what it allows") {
  Served served({"/a"});
  Values values;
  const auto* resource = served.router.find("/a", values);
  REQUIRE(resource != nullptr);
  CHECK(resource->at(Verb::head) == resource->at(Verb::get));
  CHECK(resource->at(Verb::post) == nullptr);
  CHECK(resource->at(Verb::other) == nullptr);
  CHECK(resource->allow == "GET, HEAD, OPTIONS");
}

TEST_CASE("whatever the path is, it is looked up, and named, without harm") {
  const Served served({"/", "/a/{b}/c", "/a/{b}:d", "/a:b", "/a/b/{c}"});
  rc::check([&] {
    const auto path =
        *rc::gen::container<std::string>(rc::gen::element('/', ':', 'a', 'b', 'c', 'd', '%', '{'));
    Values values;
    const auto* found = served.router.find(path, values);
    RC_ASSERT(values.size <= 2u);
    RC_ASSERT(served.router.near(path).size() <= 3u);
    if (found != nullptr)
      for (std::size_t i = 0; i < values.size; ++i) RC_ASSERT(!values.values[i].empty());
  });
}

}  // namespace cx::http
