#include <doctest/doctest.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <set>

#include "gateways/json/codec.hpp"
#include "gateways/json/rules.hpp"
#include "kinds.pb.h"
#include "tests/gateways/json/random_message.hpp"

namespace {

using namespace cx;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;
namespace oracle = google::protobuf::util;
namespace kinds = cx::test::json;

/// What callers cannot see or send would differ on purpose.
std::unique_ptr<Message> random_message(const Message& prototype, test::Random& random,
                                        const std::vector<const Message*>& types) {
  std::unique_ptr<Message> message(prototype.New());
  test::fill_randomly(*message, random, types);
  json::clear_internal(*message);
  json::clear_output_only(*message);
  return message;
}

constexpr int kRounds = 20;

TEST_CASE("what is printed, Protobuf's own reader understands") {
  test::Random random(1);
  const auto types = test::all_types();
  REQUIRE(types.size() > 50);
  for (const auto* prototype : types) {
    for (int i = 0; i < kRounds; ++i) {
      const auto message = random_message(*prototype, random, types);
      const auto text = json::print(*message);
      CAPTURE(text);
      const std::unique_ptr<Message> read(prototype->New());
      const auto status = oracle::JsonStringToMessage(text, read.get());
      REQUIRE_MESSAGE(status.ok(), prototype->GetTypeName() << ": " << status.message().as_string());
      REQUIRE_MESSAGE(MessageDifferencer::Equals(*message, *read), prototype->GetTypeName());
    }
  }
}

TEST_CASE("what Protobuf's own writer prints is read, in either spelling of the names") {
  test::Random random(2);
  const auto types = test::all_types();
  for (const auto* prototype : types) {
    for (int i = 0; i < kRounds; ++i) {
      const auto message = random_message(*prototype, random, types);
      oracle::JsonPrintOptions options;
      options.preserve_proto_field_names = random() % 2 == 0;
      options.always_print_enums_as_ints = random() % 4 == 0;
      options.add_whitespace = random() % 4 == 0;
      std::string text;
      REQUIRE(oracle::MessageToJsonString(*message, &text, options).ok());
      CAPTURE(text);
      const std::unique_ptr<Message> read(prototype->New());
      const auto error = json::parse(text, *read);
      REQUIRE_MESSAGE(!error, prototype->GetTypeName() << ": " << error->detail);
      REQUIRE_MESSAGE(MessageDifferencer::Equals(*message, *read), prototype->GetTypeName());
    }
  }
}

TEST_CASE("what is printed is read back") {
  test::Random random(3);
  const auto types = test::all_types();
  for (const auto* prototype : types) {
    for (int i = 0; i < kRounds; ++i) {
      const auto message = random_message(*prototype, random, types);
      const auto text = json::print(*message);
      CAPTURE(text);
      const std::unique_ptr<Message> read(prototype->New());
      const auto error = json::parse(text, *read);
      REQUIRE_MESSAGE(!error, prototype->GetTypeName() << ": " << error->detail);
      REQUIRE(MessageDifferencer::Equals(*message, *read));
      REQUIRE(json::print(*read) == text);
    }
  }
}

/// Begin and length of a value in a printed document that is no object or list.
std::vector<std::pair<std::size_t, std::size_t>> scalars_of(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (std::size_t at = 0; at < text.size();) {
    auto end = at + 1;
    if (text[at] == '"') {
      while (text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      ++end;
      if (text.substr(end, 1) != ":") out.emplace_back(at, end - at);
    } else if (std::string_view("{}[],:").find(text[at]) == std::string_view::npos) {
      end = std::min(text.find_first_of("]},", at), text.size());
      out.emplace_back(at, end - at);
    }
    at = end;
  }
  return out;
}

const std::vector<const Message*> kFieldKinds = {
    &kinds::Scalars::default_instance(), &kinds::Optionals::default_instance(),
    &kinds::Lists::default_instance(),   &kinds::Maps::default_instance(),
    &kinds::Choice::default_instance(),  &kinds::Known::default_instance()};

const std::vector<std::string> kReplacements = {"null",
                                                "true",
                                                "false",
                                                "\"true\"",
                                                "0",
                                                "-0",
                                                "-1",
                                                "1.0",
                                                "1.5",
                                                "1e2",
                                                "\"1\"",
                                                "\"1.0\"",
                                                "\" 1\"",
                                                "\"01\"",
                                                "\"+1\"",
                                                "\"0x1\"",
                                                "2147483648",
                                                "4294967296",
                                                "9223372036854775808",
                                                "18446744073709551616",
                                                "9007199254740993.0",
                                                "3.5e38",
                                                "1e400",
                                                "\"NaN\"",
                                                "\"Infinity\"",
                                                "\"nan\"",
                                                "\"\"",
                                                "\"Zg\"",
                                                "\"Zh==\"",
                                                "\"Zg=\"",
                                                "\"_-8\"",
                                                "\"CAMPAIGN_STAGE_DRAFT\"",
                                                "99",
                                                "{}",
                                                "[]",
                                                "\"1970-01-01T00:00:00Z\"",
                                                "\"1970-01-01T00:00:00z\"",
                                                "\"1970-01-01t00:00:00Z\"",
                                                "\"1970-01-01T23:59:60Z\"",
                                                "\"1s\"",
                                                "\"1.5000000000s\"",
                                                "\"+1s\"",
                                                "\"a.b\"",
                                                "\"a(b,c)\""};

/// Replacement and the problem where only we refuse.
const std::set<std::pair<std::string, std::string>> kStricter = {
    // Numbers as strings are numbers of JSON all the same.
    {"\"+1\"", "wrong-type"},
    {"\"01\"", "wrong-type"},
    {"\"0x1\"", "wrong-type"},
    // What a double cannot tell from its neighbour.
    {"9007199254740993.0", "invalid-value"},
    // Enums have known values only, and those in strings are names.
    {"-1", "invalid-value"},
    {"1e2", "invalid-value"},
    {"99", "invalid-value"},
    {"\"1\"", "invalid-value"},
    {"\"01\"", "invalid-value"},
    {"\"+1\"", "invalid-value"},
    // A boolean is true or false.
    {"\"true\"", "wrong-type"},
    {"\"1\"", "wrong-type"},
    // Lists and maps hold no nulls; a list inside a list is not flattened.
    {"null", "wrong-type"},
    {"[]", "wrong-type"},
    {"{}", "wrong-type"},
    // Durations have no plus sign.
    {"\"+1s\"", "invalid-value"},
    // Paths of a field mask are names of fields.
    {"\" 1\"", "invalid-value"},
    {"\"1.0\"", "invalid-value"},
    {"\"0x1\"", "invalid-value"},
    {"\"1s\"", "invalid-value"},
    {"\"1.5000000000s\"", "invalid-value"},
    {"\"1970-01-01T00:00:00Z\"", "invalid-value"},
    {"\"1970-01-01T23:59:60Z\"", "invalid-value"},
    {"\"1970-01-01T00:00:00z\"", "invalid-value"},
    {"\"1970-01-01t00:00:00Z\"", "invalid-value"},
    {"\"Zh==\"", "invalid-value"},
    {"\"Zg=\"", "invalid-value"},
    {"\"Zg\"", "invalid-value"},
    {"\"NaN\"", "invalid-value"},
    {"\"Infinity\"", "invalid-value"},
    {"\"CAMPAIGN_STAGE_DRAFT\"", "invalid-value"},
    {"\"_-8\"", "invalid-value"},
    {"\"a(b,c)\"", "invalid-value"}};

TEST_CASE("another value in a field is accepted where Protobuf's own reader accepts it, with exceptions") {
  const google::protobuf::LogSilencer silent;
  test::Random random(4);
  for (int i = 0; i < 6'000; ++i) {
    const auto* prototype = kFieldKinds[random() % kFieldKinds.size()];
    const auto message = random_message(*prototype, random, {});
    auto text = json::print(*message);
    const auto places = scalars_of(text);
    if (places.empty()) continue;
    const auto [at, length] = places[random() % places.size()];
    const auto& replacement = kReplacements[random() % kReplacements.size()];
    text.replace(at, length, replacement);
    const std::unique_ptr<Message> ours(prototype->New()), theirs(prototype->New());
    const auto error = json::parse(text, *ours);
    const bool accepted = oracle::JsonStringToMessage(text, theirs.get()).ok();
    CAPTURE(text);
    CAPTURE(replacement);
    if (error && accepted) CHECK_MESSAGE(kStricter.count({replacement, error->type}) == 1, error->detail);
    // A string may hold an integer in any spelling that a number has.
    if (!error && !accepted) CHECK(replacement == "\"1.0\"");
    // Their reader drops the sign of -0.
    if (!error && accepted && replacement != "-0") CHECK(json::print(*ours) == json::print(*theirs));
  }
}

TEST_CASE("a document with damaged bytes means the same to both readers, if both take it") {
  const google::protobuf::LogSilencer silent;
  test::Random random(5);
  std::size_t taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto* prototype = kFieldKinds[random() % kFieldKinds.size()];
    const auto message = random_message(*prototype, random, {});
    auto text = json::print(*message);
    for (auto n = random() % 3 + 1; n > 0 && !text.empty(); --n) {
      const auto at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, random() % 3 + 1);
          break;
        case 1:
          text[at] = static_cast<char>(random());
          break;
        case 2:
          text.insert(at, 1, "{}[],:\"\\0-eE. nt"[random() % 16]);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 20));
      }
    }
    const std::unique_ptr<Message> ours(prototype->New()), theirs(prototype->New());
    if (json::parse(text, *ours)) continue;
    CAPTURE(text);
    const auto status = oracle::JsonStringToMessage(text, theirs.get());
    // An enum's name in another case is one only to us.
    const auto why = status.message().as_string();
    if (why.find("for type type.googleapis.com/cx.test.json.") == why.npos) CHECK_MESSAGE(status.ok(), why);
    if (status.ok()) CHECK(json::print(*ours) == json::print(*theirs));
    ++taken;
  }
  CHECK(taken > 300);
}

}  // namespace
