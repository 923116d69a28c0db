#include <algorithm>
#include <fmt/format.h>
#include <unordered_set>

#include "runtime/liquid/filters.hpp"
#include "runtime/liquid/property.hpp"
#include "runtime/liquid/reading.hpp"
#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

// An element and what it is sorted by.
struct Keyed {
  Value key;
  Value item;
};

// Whether the elements have properties at all: without, there is no result.
bool all_have_properties(const List& items) {
  return std::all_of(items.begin(), items.end(), has_properties);
}

std::optional<std::vector<Keyed>> keyed(Call& call, List items) {
  std::vector<Keyed> out;
  out.reserve(items.size());
  const bool by_property = !call.arguments[0].nil();
  if (!call.work.bytes(items.size() * sizeof(Keyed))) return std::nullopt;
  for (auto& item : items) {
    auto key = by_property ? property(call, item, call.arguments[0]) : Property{Property::Is::found, item};
    if (key.is == Property::Is::impossible) return std::nullopt;
    out.push_back({std::move(key.value), std::move(item)});
  }
  return out;
}

template <class Less>
Value sorted(std::vector<Keyed> pairs, Less less) {
  std::stable_sort(pairs.begin(), pairs.end(), [&](const Keyed& a, const Keyed& b) {
    if (a.key.nil() || b.key.nil()) return !a.key.nil() && b.key.nil();  // nil comes last
    return less(a, b);
  });
  List out;
  out.reserve(pairs.size());
  for (auto& pair : pairs) out.push_back(std::move(pair.item));
  return Value::list(std::move(out));
}

Value sort(Call& call) {
  auto items = elements(call.input, call.work);
  if (!call.arguments[0].nil() && !all_have_properties(items)) return {};
  auto pairs = keyed(call, std::move(items));
  if (!pairs) return {};
  bool comparable = true;
  auto result = sorted(std::move(*pairs), [&](const Keyed& a, const Keyed& b) {
    const auto ordered = order(a.key, b.key, call.work);
    comparable = comparable && ordered;
    return ordered.value_or(0) < 0;
  });
  return comparable ? result : call.fail("the elements are of types that cannot be compared");
}

Value sort_natural(Call& call) {
  auto items = elements(call.input, call.work);
  if (!call.arguments[0].nil() && !all_have_properties(items)) return {};
  auto pairs = keyed(call, std::move(items));
  if (!pairs) return {};
  for (auto& pair : *pairs) {
    if (pair.key.nil()) continue;
    const Reading text(pair.key, call.work);
    std::string folded(text.view);
    for (char& c : folded)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    pair.key = made(call, std::move(folded));
  }
  return sorted(std::move(*pairs), [&](const Keyed& a, const Keyed& b) {
    return order(a.key, b.key, call.work).value_or(0) < 0;
  });
}

enum class Match { yes, no, nothing, fallback };

// Whether an element has the property, with the value if one is asked for. Nothing: the whole filter has no
// result, as elements of this type have no properties.
Match matches(Call& call, const Value& item) {
  const auto found = property(call, item, call.arguments[0]);
  switch (found.is) {
    case Property::Is::found:
      break;
    case Property::Is::untyped:
      return Match::nothing;
    case Property::Is::unnamed:
      return Match::fallback;
    case Property::Is::impossible:
      return Match::nothing;
  }
  const auto& wanted = call.arguments[1];
  const bool yes = wanted.nil() ? found.value.truthy() : equal(found.value, wanted, call.work);
  return yes ? Match::yes : Match::no;
}

template <bool Keep>
Value select(Call& call) {
  List out;
  for (auto& item : elements(call.input, call.work)) {
    const auto match = matches(call, item);
    if (match == Match::nothing) return {};
    if (match == Match::fallback) return Value::list({});
    if ((match == Match::yes) == Keep) out.push_back(std::move(item));
  }
  return Value::list(std::move(out));
}

Value has(Call& call) {
  for (const auto& item : elements(call.input, call.work)) {
    const auto match = matches(call, item);
    if (match == Match::nothing) return {};
    if (match != Match::no) return Value(match == Match::yes);
  }
  return Value(false);
}

template <bool Index>
Value find_item(Call& call) {
  std::int64_t index = 0;
  for (auto& item : elements(call.input, call.work)) {
    const auto match = matches(call, item);
    if (match == Match::nothing || match == Match::fallback) return {};
    if (match == Match::yes) return Index ? Value(index) : std::move(item);
    ++index;
  }
  return {};
}

Value uniq(Call& call) {
  List out;
  std::unordered_set<std::string> seen;
  for (auto& item : elements(call.input, call.work)) {
    std::string key;
    if (call.arguments[0].nil()) {
      append_inspected(key, item, call.work);
    } else {
      const auto found = property(call, item, call.arguments[0]);
      if (found.is != Property::Is::found) return {};
      append_inspected(key, found.value, call.work);
    }
    if (call.work.spent()) return {};
    if (seen.insert(std::move(key)).second) out.push_back(std::move(item));
  }
  return Value::list(std::move(out));
}

Value compact(Call& call) {
  List out;
  for (auto& item : elements(call.input, call.work)) {
    if (call.arguments[0].nil()) {
      if (!item.nil()) out.push_back(std::move(item));
      continue;
    }
    const auto found = property(call, item, call.arguments[0]);
    if (found.is != Property::Is::found) return {};
    if (!found.value.nil()) out.push_back(std::move(item));
  }
  return Value::list(std::move(out));
}

Value map(Call& call) {
  List out;
  for (const auto& item : elements(call.input, call.work)) {
    auto found = property(call, item, call.arguments[0]);
    if (found.is == Property::Is::impossible) return {};
    out.push_back(std::move(found.value));
  }
  return Value::list(std::move(out));
}

Value concat(Call& call) {
  const auto& tail = call.arguments[0];
  if (!tail.is_array()) return call.fail(fmt::format("it takes an array, not {}", type_name(tail)));
  auto items = elements(call.input, call.work);
  for (std::size_t i = 0; i < tail.size() && call.work.bytes(sizeof(Value)); ++i) items.push_back(tail.at(i));
  return Value::list(std::move(items));
}

Value reverse(Call& call) {
  auto items = elements(call.input, call.work);
  std::reverse(items.begin(), items.end());
  return Value::list(std::move(items));
}

Value join(Call& call) {
  const Value space = Value::borrowed(" ");
  const Reading glue(call.has(0) ? call.arguments[0] : space, call.work);
  std::string out;
  bool first = true;
  for (const auto& item : elements(call.input, call.work)) {
    if (!first && call.work.bytes(glue.view.size())) out += glue.view;
    first = false;
    append_text(out, item, call.work);
    if (call.work.spent()) return {};
  }
  return made(call, std::move(out));
}

constexpr Filter kFilters[] = {
    {"compact", 0, 1, compact},
    {"concat", 1, 1, concat},
    {"find", 1, 2, find_item<false>},
    {"find_index", 1, 2, find_item<true>},
    {"has", 1, 2, has},
    {"join", 0, 1, join},
    {"map", 1, 1, map},
    {"reject", 1, 2, select<false>},
    {"reverse", 0, 0, reverse},
    {"sort", 0, 1, sort},
    {"sort_natural", 0, 1, sort_natural},
    {"uniq", 0, 1, uniq},
    {"where", 1, 2, select<true>},
};

}  // namespace

std::span<const Filter> array_filters() {
  return kFilters;
}

}  // namespace cx::liquid
