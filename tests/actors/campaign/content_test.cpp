#include "actors/campaign/content.hpp"

#include <google/protobuf/util/json_util.h>

#include "driver.hpp"

namespace cx::test {
namespace {

v1::CampaignContent parsed(const std::string& json) {
  v1::CampaignContent content;
  REQUIRE(google::protobuf::util::JsonStringToMessage(json, &content).ok());
  return content;
}

}  // namespace

TEST_CASE("what is wrong with a content is said with a pointer into the request") {
  const struct {
    std::string json;
    const char* pointer;
  } cases[] = {
      {R"({})", "/campaign/name"},
      {R"({"name": " \t"})", "/campaign/name"},
      {R"({"name": "A", "objective": 99})", "/campaign/objective"},
      {R"({"name": "A", "channels": [0]})", "/campaign/channels/0"},
      {R"({"name": "A", "channels": ["CHANNEL_SMS", 99]})", "/campaign/channels/1"},
      {R"({"name": "A", "channels": ["CHANNEL_SMS", "CHANNEL_PUSH", "CHANNEL_SMS"]})",
       "/campaign/channels/2"},
      {R"({"name": "A", "budget": {"micros": "1"}})", "/campaign/budget/currency"},
      {R"({"name": "A", "budget": {"micros": "1", "currency": "usd"}})", "/campaign/budget/currency"},
      {R"({"name": "A", "budget": {"micros": "-1", "currency": "USD"}})", "/campaign/budget/micros"},
      {R"({"name": "A", "daily_budget": {"micros": "1", "currency": "US"}})",
       "/campaign/daily_budget/currency"},
      {R"({"name": "A", "budget": {"micros": "5", "currency": "USD"}, "daily_budget": {"micros": "6", "currency": "USD"}})",
       "/campaign/daily_budget/micros"},
      {R"({"name": "A", "budget": {"micros": "5", "currency": "USD"}, "daily_budget": {"micros": "1", "currency": "EUR"}})",
       "/campaign/daily_budget/currency"},
      {R"({"name": "A", "start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:00:00Z"})", "/campaign/end"},
      {R"({"name": "A", "landing": {"a/b~": "javascript:x"}})", "/campaign/landing/a~1b~0"},
      {R"({"name": "A", "landing": {"x": "https://"}})", "/campaign/landing/x"},
      {R"({"name": "A", "landing": {"x": "https://a b"}})", "/campaign/landing/x"},
      {R"({"name": "A", "landing": {"": "https://a"}})", "/campaign/landing"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.json);
    const auto error = campaign::check_content(parsed(c.json));
    REQUIRE(error);
    CHECK(error->code == Code::invalid_argument);
    CHECK(error->pointer == c.pointer);
    Driver d;
    CHECK_FALSE(d.create(parsed(c.json)));
    REQUIRE(d.create(content_of(1)));
    v1::UpdateCampaign update;
    *update.mutable_campaign() = parsed(c.json);
    for (const char* path :
         {"name", "objective", "channels", "budget", "daily_budget", "start", "end", "landing", "labels"})
      update.mutable_update_mask()->add_paths(path);
    CHECK(d.run(update, kAna).error().pointer == c.pointer);
  }
  const auto pointer_of = [](const auto& change) {
    auto content = content_of(1);
    change(content);
    const auto error = campaign::check_content(content);
    return error ? error->pointer : "none";
  };
  CHECK(pointer_of([](auto& c) { (*c.mutable_landing())["x"] = "https://a/" + std::string(2'000, 'a'); }) ==
        "/campaign/landing/x");
  CHECK(pointer_of([](auto& c) { (*c.mutable_labels())[std::string(64, 'k')] = ""; }) == "/campaign/labels");
  CHECK(pointer_of([](auto& c) { (*c.mutable_labels())["k"] = std::string(257, 'v'); }) ==
        "/campaign/labels/k");
  CHECK(pointer_of([](auto& c) { (*c.mutable_labels())[std::string(63, 'k')] = std::string(256, 'v'); }) ==
        "none");
  CHECK(pointer_of([](auto& c) { c.mutable_start()->set_nanos(-1); }) == "/campaign/start");
  CHECK(pointer_of([](auto& c) { c.mutable_end()->set_seconds(INT64_MIN); }) == "/campaign/end");
}

TEST_CASE("an edit sets the fields that its mask names, and those only") {
  const std::string before =
      R"({"name": "A", "description": "D", "channels": ["CHANNEL_SMS", "CHANNEL_PUSH"],
          "budget": {"micros": "5", "currency": "USD"}, "end": "2030-01-01T00:00:00Z", "labels": {"a": "1", "b": "2"}})";
  const struct {
    const char* patch;
    std::vector<std::string> paths;
    const char* after;  // fields that differ; null is absent
  } cases[] = {
      {R"({"name": "B"})", {}, R"({"name": "B"})"},
      {R"({"name": "B", "description": "E"})", {"name"}, R"({"name": "B"})"},
      {R"({"channels": ["CHANNEL_EMAIL"]})", {"channels"}, R"({"channels": ["CHANNEL_EMAIL"]})"},
      {R"({})", {"description", "end"}, R"({"description": "", "end": null})"},
      {R"({"budget": {"micros": "7"}})",
       {"budget.micros"},
       R"({"budget": {"micros": "7", "currency": "USD"}})"},
      {R"({"labels": {"c": "3"}})", {"labels"}, R"({"labels": {"c": "3"}})"},
      {R"({})", {}, R"({})"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.patch);
    auto content = parsed(before);
    google::protobuf::FieldMask mask;
    for (const auto& path : c.paths) mask.add_paths(path);
    REQUIRE_FALSE(campaign::merge(parsed(c.patch), mask, content));
    auto expected = parsed(before);
    const auto after = parsed(c.after);
    if (std::string(c.after).find("description") != std::string::npos) expected.set_description("");
    if (std::string(c.after).find("end") != std::string::npos) expected.clear_end();
    if (after.channels_size() > 0) *expected.mutable_channels() = after.channels();
    if (after.labels_size() > 0) *expected.mutable_labels() = after.labels();
    if (after.has_budget()) *expected.mutable_budget() = after.budget();
    if (!after.name().empty()) expected.set_name(after.name());
    CHECK(serialize(content) == serialize(expected));
  }
}

TEST_CASE("a mask of no field, or of too many, is refused") {
  Driver d;
  REQUIRE(d.create(content_of(1)));
  for (const char* path : {"", "nam", "name.x", "labels.a", "budget.x", "campaign.name", "*"}) {
    const auto refused = d.update(content_of(2), {path});
    CHECK(d.type(refused) == "invalid-mask");
    CHECK(refused.error().pointer == "/update_mask");
  }
  CHECK(d.type(d.update(content_of(2), std::vector<std::string>(101, "name"))) == "invalid-mask");
  const auto unnamed = d.update({}, {"name"});
  CHECK(unnamed.error().pointer == "/campaign/name");
}

TEST_CASE("the hash is of all but owner and labels, whatever the order of maps") {
  auto base = parsed(R"({"name": "A", "landing": {"a": "https://a", "b": "https://b", "c": "https://c"}})");
  const auto hash = campaign::content_hash(base);
  CHECK(hash.size() == 64);
  const auto reordered =
      parsed(R"({"landing": {"c": "https://c", "a": "https://a", "b": "https://b"}, "name": "A"})");
  CHECK(campaign::content_hash(reordered) == hash);
  auto other = base;
  other.set_owner("user/x");
  (*other.mutable_labels())["k"] = "v";
  CHECK(campaign::content_hash(other) == hash);

  // Any other field that there is, now or later, makes a difference.
  const auto* type = v1::CampaignContent::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    CAPTURE(field->name());
    v1::CampaignContent set;
    auto* reflection = set.GetReflection();
    using Field = google::protobuf::FieldDescriptor;
    if (field->is_map())
      reflection->AddMessage(&set, field);
    else if (field->is_repeated() && field->cpp_type() == Field::CPPTYPE_STRING)
      reflection->AddString(&set, field, "x");
    else if (field->is_repeated())
      reflection->AddEnumValue(&set, field, 1);
    else if (field->cpp_type() == Field::CPPTYPE_STRING)
      reflection->SetString(&set, field, "x");
    else if (field->cpp_type() == Field::CPPTYPE_ENUM)
      reflection->SetEnumValue(&set, field, 1);
    else
      reflection->MutableMessage(&set, field);
    const bool free = field->name() == "owner" || field->name() == "labels";
    CHECK((campaign::content_hash(set) == campaign::content_hash({})) == free);
  }
}

TEST_CASE("the hash is SHA-256 of the content's bytes") {
  // printf '\n\001A' | sha256sum: field 1, one byte, "A"
  v1::CampaignContent content;
  content.set_name("A");
  CHECK(campaign::content_hash(content) ==
        "7d54634aa0a751d16fe93af1f47da48bd3fda8665049dad1c5b0a128f4f80e8e");
}

TEST_CASE("fields that this build does not know are dropped, neither kept nor approved") {
  auto content = content_of(1);
  content.GetReflection()->MutableUnknownFields(&content)->AddLengthDelimited(999, std::string(1'000, 'x'));
  auto* budget = content.mutable_budget();
  budget->GetReflection()->MutableUnknownFields(budget)->AddVarint(999, 1);
  Driver d;
  REQUIRE(d.create(content));
  CHECK(serialize(d.state().content()) == serialize(content_of(1)));
  REQUIRE(d.update(content));
  CHECK(serialize(d.state().content()) == serialize(content_of(1)));
}

}  // namespace cx::test
