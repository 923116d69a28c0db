#include <doctest/doctest.h>
#include <google/protobuf/struct.pb.h>
#include <rapidcheck.h>
#include <set>

#include "runtime/random.hpp"
#include "world.hpp"

namespace cx::test {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// The oracle: conditions as their README reads, asked of one Protobuf tree of everything. It shares no code
// with what it judges: fields are lists of names, numbers doubles, and times are looked up in a table.

constexpr double kNow = 1'772'323'200;  // World::now, in seconds

/// Every time that there is in these worlds, in seconds.
const std::map<std::string, double>& times() {
  static const std::map<std::string, double> all = {{"2026-03-01T00:00:00Z", kNow},
                                                    {"2026-03-01T07:00:00+07:00", kNow},
                                                    {"2026-02-28T23:59:59.5Z", kNow - 0.5},
                                                    {"2026-02-28T23:00:00Z", kNow - 3600},
                                                    {"2026-02-28T12:00:00-11:00", kNow - 3600},
                                                    {"2026-02-28T00:00:00Z", kNow - 86400},
                                                    {"2026-03-01T00:00:01Z", kNow + 1},
                                                    {"1970-01-01T00:00:01Z", 1}};
  return all;
}

struct Name {
  std::vector<std::string> parts;
  std::string text() const {
    std::string out;
    for (const auto& part : parts) {
      if (!out.empty()) out += '.';
      out += part.find_first_of(". \"") != part.npos ? '"' + part + '"' : part;
    }
    return out;
  }
};

Value find(const Value& from, const Name& name) {
  Value at = from;
  for (const auto& part : name.parts) {
    Value below;
    if (at.has_struct_value() && at.struct_value().fields().contains(part)) {
      below = at.struct_value().fields().at(part);
    } else if (at.has_list_value() && part.find_first_not_of("0123456789") == part.npos) {
      const int i = std::stoi(part);
      if (i < at.list_value().values_size()) below = at.list_value().values(i);
    }
    at = below;
  }
  return at;
}

bool absent(const Value& v) {
  return v.kind_case() == Value::KIND_NOT_SET || v.has_null_value();
}

bool same(const Value& a, const Value& b) {
  if (absent(a) && absent(b)) return true;
  if (a.kind_case() != b.kind_case()) return false;
  if (a.has_bool_value()) return a.bool_value() == b.bool_value();
  if (a.has_number_value()) return a.number_value() == b.number_value();
  if (a.has_string_value()) return a.string_value() == b.string_value();
  if (a.has_list_value()) {
    if (a.list_value().values_size() != b.list_value().values_size()) return false;
    for (int i = 0; i < a.list_value().values_size(); ++i)
      if (!same(a.list_value().values(i), b.list_value().values(i))) return false;
    return true;
  }
  if (a.struct_value().fields_size() != b.struct_value().fields_size()) return false;
  for (const auto& [name, value] : a.struct_value().fields())
    if (!b.struct_value().fields().contains(name) || !same(value, b.struct_value().fields().at(name)))
      return false;
  return true;
}

/// -1, 0, 1; 2 where there is no order.
int order(const Value& a, const Value& b) {
  const auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.has_number_value() && b.has_number_value()) return sign(a.number_value(), b.number_value());
  if (!a.has_string_value() || !b.has_string_value()) return 2;
  if (!times().contains(b.string_value())) return sign(a.string_value(), b.string_value());
  if (!times().contains(a.string_value())) return 2;
  return sign(times().at(a.string_value()), times().at(b.string_value()));
}

/// A condition beside what it was made of.
struct Made {
  v1::Condition condition;
  Name field, other;
  std::vector<Made> children;
};

bool holds(const Made& made, const Value& world) {
  const auto& c = made.condition;
  if (c.all_size() > 0) {
    bool all = true;
    for (const auto& child : made.children) all = all & holds(child, world);
    return all;
  }
  if (c.any_size() > 0) {
    bool any = false;
    for (const auto& child : made.children) any = any | holds(child, world);
    return any;
  }
  if (c.has_not_()) return !holds(made.children[0], world);
  const auto value = find(world, made.field);
  if (c.has_exists()) return absent(value) != c.exists();
  if (c.has_equals()) return same(value, c.equals());
  if (c.has_not_equals()) return !same(value, c.not_equals());
  if (c.has_above()) return order(value, c.above()) == 1;
  if (c.has_below()) return order(value, c.below()) == -1;
  if (c.has_at_least()) return order(value, c.at_least()) == 1 || order(value, c.at_least()) == 0;
  if (c.has_at_most()) return order(value, c.at_most()) == -1 || order(value, c.at_most()) == 0;
  if (c.has_one_of()) {
    for (const auto& one : c.one_of().values())
      if (same(value, one)) return true;
    return false;
  }
  if (c.has_contains()) {
    if (value.has_string_value() && c.contains().has_string_value())
      return value.string_value().find(c.contains().string_value()) != std::string::npos;
    for (const auto& one : value.list_value().values())
      if (same(one, c.contains())) return true;
    return false;
  }
  const auto& text = value.string_value();
  if (c.has_starts_with())
    return value.has_string_value() && text.substr(0, c.starts_with().size()) == c.starts_with();
  if (c.has_ends_with())
    return value.has_string_value() && text.size() >= c.ends_with().size() &&
           text.substr(text.size() - c.ends_with().size()) == c.ends_with();
  if (c.has_equals_field()) {
    const auto other = find(world, made.other);
    if (absent(value) || absent(other)) return false;
    const bool keys = made.field.parts[0] == "key" || made.other.parts[0] == "key";
    if (!keys) return same(value, other);
    const auto words = [](const Value& v) -> std::string {  // numbers here are whole or halves
      if (v.has_string_value()) return v.string_value();
      if (v.has_bool_value()) return v.bool_value() ? "true" : "false";
      if (!v.has_number_value()) return std::string(1, '\0');
      char buffer[32];
      std::snprintf(buffer, sizeof buffer, "%g", v.number_value());
      return buffer;
    };
    return words(value) == words(other) && words(value)[0] != '\0';
  }
  if (!value.has_string_value() || !times().contains(text)) return false;
  const double at = times().at(text);
  if (c.has_within_last()) return at <= kNow && at >= kNow - static_cast<double>(c.within_last().seconds());
  return at < kNow - static_cast<double>(c.before_last().seconds());
}

// What is random: of one number that RapidCheck gives, since thousands of its own would be slow to keep track
// of.

Random source(0);
int below(int n) {
  return static_cast<int>(source.below(static_cast<std::uint32_t>(n)));
}
template <class T>
T one_of(const std::vector<T>& all) {
  return all[static_cast<std::size_t>(below(static_cast<int>(all.size())))];
}

std::string word() {
  if (below(3) == 0) {
    std::vector<std::string> all;
    for (const auto& [text, seconds] : times()) all.push_back(text);
    return one_of(all);
  }
  return one_of<std::string>(
      {"", "a", "ab", "b", "ba", "é", "2026", "2026-03-01", "3", "true", "say \"a\"", "a\\b"});
}

Value value(int depth) {
  Value out;
  switch (below(depth > 0 ? 7 : 5)) {
    case 0:
      out.set_null_value({});
      break;
    case 1:
      out.set_bool_value(below(2) == 0);
      break;
    case 2:
      out.set_number_value(below(7) - 3 + below(2) * 0.5);
      break;
    case 3:
    case 4:
      out.set_string_value(word());
      break;
    case 5:
      out.mutable_list_value();
      for (int i = below(3); i > 0; --i) *out.mutable_list_value()->add_values() = value(depth - 1);
      break;
    default:
      out.mutable_struct_value();
      for (int i = below(3); i > 0; --i)
        (*out.mutable_struct_value()->mutable_fields())[one_of<std::string>({"a", "b", "x.y"})] =
            value(depth - 1);
  }
  return out;
}

const std::vector<std::string> kNames = {"a", "b", "x.y", "two words"};

Struct properties() {
  Struct out;
  for (const auto& name : kNames)
    if (below(4) > 0) (*out.mutable_fields())[name] = value(2);
  return out;
}

/// As the oracle sees it; events' counts are added to it for World.
Value world() {
  Value out;
  auto& fields = *out.mutable_struct_value()->mutable_fields();
  *fields["traits"].mutable_struct_value() = properties();
  auto& event = *fields["event"].mutable_struct_value()->mutable_fields();
  event["name"].set_string_value(word());
  *event["properties"].mutable_struct_value() = properties();
  *event["context"].mutable_struct_value() = properties();
  *fields["memory"].mutable_struct_value() = properties();
  if (below(2) == 0) fields["key"].set_string_value(one_of<std::string>({"a", "2", "-0.5", "true"}));
  auto& events = *fields["events"].mutable_struct_value()->mutable_fields();
  for (const auto& name : kNames) {
    auto& count = *events[name].mutable_struct_value()->mutable_fields();
    const int n = below(3);
    count["count"].set_number_value(n);
    if (n == 0) continue;
    count["first"].set_string_value("1970-01-01T00:00:01Z");
    count["last"].set_string_value(one_of<std::string>({"2026-03-01T00:00:00Z", "2026-02-28T23:00:00Z"}));
  }
  return out;
}

World world_of(Value tree) {
  auto& fields = *tree.mutable_struct_value()->mutable_fields();
  auto& events = *fields["events"].mutable_struct_value()->mutable_fields();
  for (const auto& name : kNames) {
    auto& count = *events[name].mutable_struct_value()->mutable_fields();
    if (count["count"].number_value() == 0) {
      events.erase(name);
      continue;
    }
    for (const char* when : {"first", "last"})
      count[when].set_number_value(times().at(count[when].string_value()) * 1000);
  }
  std::string json;
  RC_ASSERT(google::protobuf::util::MessageToJsonString(tree, &json).ok());
  return World(json);
}

Name field() {
  switch (below(8)) {
    case 0:
      return {{"key"}};
    case 1:
      return {{"event", "name"}};
    case 2:
      return {{"events", one_of(kNames), one_of<std::string>({"count", "first", "last"})}};
    default:
      break;
  }
  auto out = one_of<Name>(
      {{{"traits"}}, {{"traits"}}, {{"memory"}}, {{"event", "properties"}}, {{"event", "context"}}});
  out.parts.push_back(one_of(kNames));
  for (int i = below(3); i > 1; --i) out.parts.push_back(one_of<std::string>({"a", "0", "1", "x.y"}));
  return out;
}

Value operand() {
  auto out = value(2);
  while (out.has_null_value()) out = value(2);
  return out;
}
Value ordered() {
  Value out;
  if (below(2) == 0)
    out.set_number_value(below(7) - 3);
  else
    out.set_string_value(word());
  return out;
}
std::string some_text() {
  auto out = word();
  return out.empty() ? "a" : out.substr(0, static_cast<std::size_t>(1 + below(static_cast<int>(out.size()))));
}

Made condition(int depth) {
  Made out;
  auto& c = out.condition;
  if (depth > 0 && below(2) == 0) {
    const int kind = below(3);
    for (int i = kind == 2 ? 1 : 1 + below(3); i > 0; --i) {
      out.children.push_back(condition(depth - 1));
      (kind == 0   ? *c.add_all()
       : kind == 1 ? *c.add_any()
                   : *c.mutable_not_()) = out.children.back().condition;
    }
    return out;
  }
  out.field = field();
  c.set_field(out.field.text());
  switch (below(14)) {
    case 0:
      c.set_exists(below(2) == 0);
      break;
    case 1:
      *c.mutable_equals() = operand();
      break;
    case 2:
      *c.mutable_not_equals() = operand();
      break;
    case 3:
      *c.mutable_above() = ordered();
      break;
    case 4:
      *c.mutable_at_least() = ordered();
      break;
    case 5:
      *c.mutable_below() = ordered();
      break;
    case 6:
      *c.mutable_at_most() = ordered();
      break;
    case 7:
      for (int i = 1 + below(3); i > 0; --i) *c.mutable_one_of()->add_values() = operand();
      break;
    case 8:
      *c.mutable_contains() = operand();
      break;
    case 9:
      c.set_starts_with(some_text());
      break;
    case 10:
      c.set_ends_with(some_text());
      break;
    case 11:
      c.mutable_within_last()->set_seconds(one_of<int>({1, 3600, 86400}));
      break;
    case 12:
      c.mutable_before_last()->set_seconds(one_of<int>({1, 3600, 86400}));
      break;
    default:
      out.other = field();
      c.set_equals_field(out.other.text());
  }
  return out;
}

TEST_CASE("a condition holds where the slow oracle says so") {
  int held = 0, asked = 0;
  CHECK(rc::check("conditions", [&](std::uint64_t seed) {
    source = Random(seed);
    const auto tree = world();
    const auto fast = world_of(tree);
    for (int i = 0; i < 300; ++i) {
      auto made = condition(3);
      // Half of the time, what is compared with is what is there.
      if (made.condition.has_equals() && below(2) == 0) {
        const auto there = find(tree, made.field);
        if (!absent(there)) *made.condition.mutable_equals() = there;
      }
      const auto compiled = condition::Condition::compile(made.condition, {}, "");
      RC_ASSERT(static_cast<bool>(compiled));
      const bool expected = holds(made, tree);
      if (compiled->holds(fast.subject()) != expected)
        RC_FAIL(made.condition.ShortDebugString() + " of " + tree.ShortDebugString());
      held += expected;
      ++asked;
    }
  }));
  CHECK(held > asked / 10);
  CHECK(held < asked * 9 / 10);
}

}  // namespace
}  // namespace cx::test
