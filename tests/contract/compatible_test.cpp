#include "tests/contract/compatible.hpp"

#include <algorithm>
#include <cstdio>
#include <doctest/doctest.h>
#include <fstream>
#include <map>

#include "tests/contract/sources.hpp"

namespace cx::test {
namespace {

namespace fs = std::filesystem;

/// Output of a command that git is asked in this checkout; nothing if it fails.
std::string git(const std::string& arguments) {
  const auto command = "git -c safe.directory='*' -C '" CX_SOURCE_DIR "' " + arguments + " 2>/dev/null";
  std::string out;
  if (auto* pipe = popen(command.c_str(), "r")) {
    char buffer[4096];
    while (const auto size = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, size);
    pclose(pipe);
  }
  return out;
}

/// messages/ as it was in a commit; `commit` is empty where there is no such commit.
struct Past {
  explicit Past(const std::string& revision)
      : commit(git("rev-parse --verify --quiet '" + revision + "^{commit}'")) {
    if (commit.empty()) return;
    commit.pop_back();  // the line's end
    git("archive " + commit + " messages | tar -x -C '" + folder.path.string() + "'");
    REQUIRE(fs::exists(messages()));
  }
  fs::path messages() const { return folder.path / "messages"; }

  Folder folder;
  std::string commit;
};

/// The lines of allowed_changes.txt that allow something, with their reasons.
std::map<std::string, std::string> allowed() {
  std::map<std::string, std::string> lines;
  std::ifstream file(CX_SOURCE_DIR "/tests/contract/allowed_changes.txt");
  REQUIRE(file);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    const auto at = line.find(" | ");
    CHECK_MESSAGE(at != line.npos, "no reason: " << line);
    if (at != line.npos) lines.emplace(line.substr(0, at), line.substr(at + 3));
  }
  return lines;
}

}  // namespace

TEST_CASE("Nothing of the contract was taken back since the last commits") {
  const auto excused = allowed();
  const Contract now(messages_folder());
  // The last commit may be what is checked out: then the one before it tells what it changed.
  for (const auto* revision : {"HEAD", "HEAD~1"}) {
    const Past past(revision);
    if (past.commit.empty()) {
      MESSAGE("nothing to compare with: there is no " << revision);
      continue;
    }
    CAPTURE(past.commit);
    const Contract before(past.messages());
    for (const auto& change : breaking_changes(before.files(), now.files()))
      if (!excused.contains(change))
        FAIL_CHECK(change << "\n  (to allow it: tests/contract/allowed_changes.txt)");
  }
}

TEST_CASE("What cannot be taken back, and what can") {
  const std::string good = R"(
    service Things {
      rpc Get(GetThing) returns (Thing) {
        option (route) = { get: "/v1/things/{id}" };
        option (permission) = "campaign.read";
        option (target) = "thing/{tenant}/{id}";
      }
      rpc Put(Thing) returns (Thing) {
        option (route) = { put: "/v1/things" body: "*" };
        option (permission) = "campaign.write";
        option (effect) = EFFECT_DESTROYS;
        option (audit) = "thing";
      }
    }
    enum Stuff { STUFF_UNSPECIFIED = 0; STUFF_WOOD = 1; }
    message GetThing { string id = 1; }
    message Thing {
      message Part { int32 size = 1; }
      string name = 1 [(max_length) = 10, (secret) = true];
      int64 count = 2 [(range) = {min: 0, max: 10}];
      repeated Part parts = 3;
      Stuff stuff = 4;
      string kind = 5 [(one_of) = "a", (one_of) = "b"];
      map<string, int32> sizes = 6;
      string free = 7;
      oneof either { string left = 8; string right = 9; }
    }
  )";
  struct Case {
    std::string from, to, change;  // the change is empty for what is allowed
  };
  const Case cases[] = {
      {"string free = 7;", "string free = 7; string more = 10;", ""},
      {"STUFF_WOOD = 1;", "STUFF_WOOD = 1; STUFF_IRON = 2;", ""},
      {"string free = 7;", "reserved 7;", ""},
      {"STUFF_WOOD = 1;", "reserved 1;", ""},
      {"(max_length) = 10", "(max_length) = 11", ""},
      {"max: 10", "max: 11", ""},
      {"(one_of) = \"b\"", "(one_of) = \"b\", (one_of) = \"c\"", ""},
      {"{ string id = 1; }", "{ string id = 1; bool all = 2 [(required) = true]; }", ""},

      {"rpc Get(GetThing)", "rpc Fetch(GetThing)", "cx.v1.Things.Get: is gone"},
      {"service Things", "service Items", "cx.v1.Things: is gone"},
      {"rpc Get(GetThing)", "rpc Get(Thing)",
       "cx.v1.Things.Get: request was cx.v1.GetThing and is cx.v1.Thing"},
      {"returns (Thing)", "returns (GetThing)",
       "cx.v1.Things.Get: reply was cx.v1.Thing and is cx.v1.GetThing"},
      {"get: \"/v1/things/{id}\"", "get: \"/v1/thing/{id}\"",
       "cx.v1.Things.Get: route was GET /v1/things/{id} body '' and is GET /v1/thing/{id} body ''"},
      {"put: \"/v1/things\"", "post: \"/v1/things\"",
       "cx.v1.Things.Put: route was PUT /v1/things body '*' and is POST /v1/things body '*'"},
      {"campaign.read", "public", "cx.v1.Things.Get: permission was campaign.read and is public"},
      {"thing/{tenant}/{id}", "thing/x/{id}",
       "cx.v1.Things.Get: target was thing/{tenant}/{id} and is thing/x/{id}"},
      {"EFFECT_DESTROYS", "EFFECT_CHANGES",
       "cx.v1.Things.Put: effect was EFFECT_DESTROYS and is EFFECT_CHANGES"},
      {"(audit) = \"thing\"", "(audit) = \"item\"", "cx.v1.Things.Put: audit was thing and is item"},
      {"enum Stuff { STUFF_UNSPECIFIED = 0; STUFF_WOOD = 1; }", "enum Stuff { STUFF_UNSPECIFIED = 0; }",
       "cx.v1.Stuff.STUFF_WOOD: is gone, and its number 1 is not reserved"},
      {"STUFF_WOOD", "STUFF_IRON", "cx.v1.Stuff.STUFF_WOOD: its number 1 now is STUFF_IRON"},
      {"string free = 7;", "", "cx.v1.Thing.free: is gone, and its number 7 is not reserved"},
      {"string free = 7;", "string gratis = 7;", "cx.v1.Thing.free: its number 7 now is gratis"},
      {"string free = 7;", "bytes free = 7;", "cx.v1.Thing.free: type was string and is bytes"},
      {"string free = 7;", "repeated string free = 7;",
       "cx.v1.Thing.free: type was string and is repeated string"},
      {"int64 count", "int32 count", "cx.v1.Thing.count: type was int64 and is int32"},
      {"Stuff stuff = 4", "Part stuff = 4",
       "cx.v1.Thing.stuff: type was cx.v1.Stuff and is cx.v1.Thing.Part"},
      {"map<string, int32>", "map<string, int64>",
       "cx.v1.Thing.sizes: type was map<string, int32> and is map<string, int64>"},
      {"string free = 7;\n      oneof either {", "oneof either { string free = 7;",
       "cx.v1.Thing.free: oneof was none and is either"},
      {"message Part { int32 size = 1; }", "message Part {}",
       "cx.v1.Thing.Part.size: is gone, and its number 1 is not reserved"},
      {", (secret) = true", "", "cx.v1.Thing.name: is not secret any more"},
      {"string free = 7;", "string free = 7 [(required) = true];", "cx.v1.Thing.free: now is required"},
      {"string free = 7;", "string free = 7 [(cx.v1.name) = true];", "cx.v1.Thing.free: now is a name"},
      {"string free = 7;", "string free = 7 [(max_length) = 5];",
       "cx.v1.Thing.free: max_length was none and is 5"},
      {"(max_length) = 10", "(max_length) = 9", "cx.v1.Thing.name: max_length was 10 and is 9"},
      {"max: 10", "max: 9", "cx.v1.Thing.count: range was 0 to 10 and is 0 to 9"},
      {"(one_of) = \"b\"", "(one_of) = \"c\"", "cx.v1.Thing.kind: does not take 'b' any more"},
  };
  const Contract before(good);
  CHECK(breaking_changes(before.files(), before.files()).empty());
  for (const auto& [from, to, change] : cases) {
    CAPTURE(from);
    CAPTURE(to);
    auto text = good;
    REQUIRE(text.find(from) != text.npos);
    text.replace(text.find(from), from.size(), to);
    const Contract now(text);
    const auto found = breaking_changes(before.files(), now.files());
    if (change.empty())
      CHECK(found.empty());
    else
      CHECK(found == std::vector{change});
  }
}

TEST_CASE("A message that is gone") {
  const Contract before(std::string("message A {} message B {}")), now(std::string("message A {}"));
  CHECK(breaking_changes(before.files(), now.files()) == std::vector<std::string>{"cx.v1.B: is gone"});
}

}  // namespace cx::test
