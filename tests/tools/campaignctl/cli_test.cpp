#include "tools/campaignctl/cli.hpp"

#include <doctest/doctest.h>

using namespace cx::ctl;

namespace {

using Words = std::vector<std::string>;

std::string complaint(const Words& words) {
  const auto parsed = parse(words);
  return parsed.failure ? parsed.failure->detail : "";
}

std::string completed(const Words& words) {
  return complete(words, Settings({}, [](const std::string&) { return ""; }));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("flags may stand anywhere") {
  for (const Words& words :
       {Words{"-o", "json", "config", "view", "--origin"}, Words{"config", "-ojson", "view", "--origin"},
        Words{"--origin", "config", "view", "--output=json"}}) {
    const auto parsed = parse(words);
    CHECK_MESSAGE(!parsed.failure, parsed.failure->detail);
    REQUIRE(parsed.command != nullptr);
    CHECK(parsed.command->path == "config view");
    CHECK(parsed.given.at("output") == Words{"json"});
    CHECK(parsed.given.contains("origin"));
  }
}

TEST_CASE("an argument may be called like a command, or be a dash") {
  CHECK(parse({"bid", "config"}).given.at("FILE") == Words{"config"});
  CHECK(parse({"bid", "-"}).given.at("FILE") == Words{"-"});
}

TEST_CASE("a watch has an interval only behind an equals sign or a space") {
  CHECK(complaint({"topology", "-w"}).empty());
  CHECK(parse({"topology", "--watch=5s"}).given.at("watch") == Words{"5s"});
  CHECK(parse({"-w", "topology"}).command->path == "topology");
}

TEST_CASE("mistakes are named, with a guess and a place to read on") {
  CHECK(contains(complaint({"topolgy"}), "did you mean topology?"));
  CHECK(contains(complaint({"config", "veiw"}), "did you mean view?"));
  CHECK(contains(complaint({"topology", "--sortby", "x"}), "did you mean --sort-by?"));
  CHECK(contains(complaint({"topology", "-o", "jsn"}), "did you mean json?"));
  CHECK(contains(complaint({"version", "--watch"}), "version has no use for --watch"));
  CHECK(contains(complaint({"bid"}), "bid needs FILE"));
  CHECK(contains(complaint({"bid", "a", "b"}), "bid does not know what to do with b"));
  CHECK(contains(complaint({"config"}), "config needs a verb: view"));
  CHECK(contains(complaint({"topology", "--server"}), "--server needs a value"));
  CHECK(contains(complaint({"topology", "--server="}), "--server"));
  CHECK(contains(complaint({"completion", "tcsh"}), "bash, zsh, fish"));
}

TEST_CASE("every command has help with its flags, and help wins over mistakes") {
  for (const auto& any : commands()) {
    const Command& command = *described(any.path);
    const auto text = help(&command);
    CHECK(contains(text, command.purpose));
    for (const auto& flag : command.flags) CHECK(contains(text, "--" + flag.name) != flag.hidden);
    if (command.run) CHECK(command.examples.size() == 2);
  }
  for (const auto& noun : words_below("")) CHECK(contains(help(nullptr), "\n  " + noun));
  CHECK(!parse({"bid", "--help"}).failure);
  CHECK(!parse({"bid", "-h", "--nonsense"}).failure);
}

TEST_CASE("a query is encoded, and what was not given is left out") {
  CHECK(request_of("cx.v1.Operations.GetEntity", {{"address", "a/b/c d&=%\x01"}, {"at", ""}}).path ==
        "/v1/entity?address=a/b/c%20d%26%3D%25%01");
  CHECK(request_of("cx.v1.Operations.ListDeadLetters", {{"limit", ""}, {"cursor", "1-2-3"}}).path ==
        "/v1/deadletters?cursor=1-2-3");
  CHECK(request_of("cx.v1.Operations.ReplayDeadLetter").content_type == "application/json");
}

TEST_CASE("completion offers nouns, verbs, flags and values") {
  CHECK(completed({"topo"}) == "topology\n");
  CHECK(completed({"config", ""}) == "view\nset-context\nuse-context\nget-contexts\n");
  CHECK(completed({"topology", "--wa"}) == "--watch\n");
  CHECK(completed({"version", "--wa"}).empty());
  CHECK(completed({"-o", "j"}) == "json\njsonl\n");
  CHECK(completed({"topology", "--output=ya"}) == "--output=yaml\n");
  CHECK(completed({"-o", "json", "topology", "--sort-by", "mail"}) == "mailbox\n");
  CHECK(completed({"completion", ""}) == "bash\nzsh\nfish\n");
  CHECK(completed({"completion", "bash", ""}).empty());
  CHECK(completed({"bid", ""}) == ":files\n");
  for (const auto& any : commands()) {
    const Command& command = *described(any.path);
    const auto space = command.path.find(' ');
    Words words{command.path.substr(0, space)};
    if (space != std::string::npos) words.push_back(command.path.substr(space + 1));
    words.emplace_back("--");
    for (const auto& flag : command.flags)
      CHECK(contains(completed(words), "--" + flag.name + "\n") != flag.hidden);
  }
}
