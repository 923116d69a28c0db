#include <algorithm>

#include "runtime/liquid/filters.hpp"
#include "runtime/liquid/reading.hpp"
#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

constexpr auto npos = std::string_view::npos;

template <std::string (*Change)(std::string_view)>
Value changed(Call& call) {
  const Reading input(call.input, call.work);
  return call.work.spent() ? Value() : made(call, Change(input.view));
}

template <std::string_view (*Trim)(std::string_view)>
Value trimmed(Call& call) {
  const Reading input(call.input, call.work);
  return made(call, std::string(Trim(input.view)));
}

std::string squished(std::string_view text) {
  std::string out;
  bool gap = false;
  for (const char c : trim(text)) {
    if (gap && !is_space(c)) out += ' ';
    gap = is_space(c);
    if (!gap) out += c;
  }
  return out;
}

// Puts `what` where "\n" and "\r\n" are.
std::string with_lines_ended_by(std::string_view text, std::string_view what) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' || (text[i] == '\r' && text.substr(i + 1).starts_with('\n'))) {
      i += text[i] == '\r' ? 1 : 0;
      out += what;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string without_lines(std::string_view text) {
  return with_lines_ended_by(text, "");
}
std::string with_breaks(std::string_view text) {
  return with_lines_ended_by(text, "<br />\n");
}

Value append(Call& call) {
  const Reading input(call.input, call.work);
  const Reading tail(call.arguments[0], call.work);
  return call.work.spent() ? Value() : made(call, std::string(input.view).append(tail.view));
}

Value prepend(Call& call) {
  const Reading input(call.input, call.work);
  const Reading head(call.arguments[0], call.work);
  return call.work.spent() ? Value() : made(call, std::string(head.view).append(input.view));
}

// Pays as it goes: a short text with many matches and a long replacement make a huge one.
Value replace_all(Call& call, std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const auto found = find(text, what, at);
    if (found == npos || !call.work.bytes(found - at + with.size() + 16)) break;
    out.append(text, at, found - at).append(with);
    at = found + what.size();
    if (!what.empty()) continue;
    if (at == text.size()) break;
    const auto character = character_bytes(text.substr(at));
    out.append(text, at, character);
    at += character;
  }
  if (call.work.spent()) return {};
  return made(call, out.append(text.substr(at)));
}

Value replace(Call& call) {
  const Reading input(call.input, call.work);
  const Reading what(call.arguments[0], call.work);
  const Reading with(call.arguments[1], call.work);
  return call.work.spent() ? Value() : replace_all(call, input.view, what.view, with.view);
}

template <std::size_t (*Find)(std::string_view, std::string_view)>
Value replace_one(Call& call) {
  const Reading input(call.input, call.work);
  const Reading what(call.arguments[0], call.work);
  const Reading with(call.arguments[1], call.work);
  if (call.work.spent()) return {};
  std::string text(input.view);
  const auto at = Find(text, what.view);
  return made(call, at == npos ? text : text.replace(at, what.view.size(), with.view));
}

std::size_t find_first(std::string_view text, std::string_view what) {
  return find(text, what);
}

Value truncate(Call& call) {
  if (call.input.nil()) return {};
  const Reading input(call.input, call.work);
  const auto length = call.has(0) ? whole_number(call.arguments[0]) : 50;
  if (!length) return call.fail("the length must be a whole number");
  std::string_view tail = "...";
  std::string buffer;
  if (call.has(1)) tail = text_of(call.arguments[1], buffer, call.work);
  const auto characters = static_cast<std::int64_t>(count_characters(input.view));
  if (characters <= *length) return made(call, std::string(input.view));
  const auto keep = std::max<std::int64_t>(0, *length - static_cast<std::int64_t>(count_characters(tail)));
  if (!call.work.bytes(tail.size())) return {};
  return made(
      call,
      std::string(input.view.substr(0, offset_of(input.view, static_cast<std::size_t>(keep)))).append(tail));
}

Value truncate_words(Call& call) {
  if (call.input.nil()) return {};
  const Reading input(call.input, call.work);
  const auto words = call.has(0) ? whole_number(call.arguments[0]) : 15;
  if (!words) return call.fail("the number of words must be a whole number");
  std::string_view tail = "...";
  std::string buffer;
  if (call.has(1)) tail = text_of(call.arguments[1], buffer, call.work);
  std::string out;
  auto rest = trim_left(input.view);
  for (std::int64_t i = 0; i < std::max<std::int64_t>(1, *words) && !rest.empty(); ++i) {
    std::size_t n = 0;
    while (n < rest.size() && !is_space(rest[n])) ++n;
    if (i > 0) out += ' ';
    out += rest.substr(0, n);
    rest.remove_prefix(n);
    if (rest.empty()) break;
    if (i + 1 < std::max<std::int64_t>(1, *words)) rest = trim_left(rest);
  }
  // Even a space behind the last word that fits makes it too long.
  if (rest.empty()) return made(call, std::string(input.view));
  if (!call.work.bytes(tail.size())) return {};
  return made(call, out.append(tail));
}

Value split_text(Call& call) {
  const Reading input(call.input, call.work);
  const Reading separator(call.arguments[0], call.work);
  // One step too many is refused by the work, not here.
  const auto parts = split(input.view, separator.view, 1'000'000);
  if (!parts) return call.fail("there are more than 1000000 parts");
  if (!call.work.bytes(parts->size() * sizeof(Value))) return {};
  std::shared_ptr<const std::string> owner;
  const auto* text = call.input.as<Text>();
  if (!text) owner = std::make_shared<const std::string>(input.view);
  const char* base = text ? text->view.data() : owner->data();
  List items;
  items.reserve(parts->size());
  for (const auto part : *parts)
    items.emplace_back(
        Text{{base + (part.data() - input.view.data()), part.size()}, text ? text->owner : owner, false});
  return Value::list(std::move(items));
}

Value slice(Call& call) {
  const auto from = whole_number(call.arguments[0]);
  const auto given = call.has(1) && call.arguments[1].truthy();
  const auto length = given ? whole_number(call.arguments[1]) : 1;
  if (!from || !length) return call.fail("the place and the length must be whole numbers");
  const bool array = call.input.is_array();
  const Reading input(array ? Value() : call.input, call.work);
  const auto size = static_cast<std::int64_t>(array ? call.input.size() : count_characters(input.view));
  const auto begin = *from < 0 ? *from + size : *from;
  const bool outside = begin < 0 || begin > size || *length < 0;
  const auto count = outside ? 0 : std::min(*length, size - begin);
  if (array) {
    List items;
    for (std::int64_t i = 0; i < count && call.work.bytes(sizeof(Value)); ++i)
      items.push_back(call.input.at(static_cast<std::size_t>(begin + i)));
    return Value::list(std::move(items));
  }
  if (count == 0) return Value::borrowed("");
  const auto tail = input.view.substr(offset_of(input.view, static_cast<std::size_t>(begin)));
  return made(call, std::string(tail.substr(0, offset_of(tail, static_cast<std::size_t>(count)))));
}

constexpr Filter kFilters[] = {
    {"append", 1, 1, append},
    {"capitalize", 0, 0, changed<capitalized>},
    {"downcase", 0, 0, changed<lower>},
    {"lstrip", 0, 0, trimmed<trim_left>},
    {"newline_to_br", 0, 0, changed<with_breaks>},
    {"prepend", 1, 1, prepend},
    {"remove", 1, 1, replace},
    {"remove_first", 1, 1, replace_one<find_first>},
    {"remove_last", 1, 1, replace_one<find_last>},
    {"replace", 1, 2, replace},
    {"replace_first", 1, 2, replace_one<find_first>},
    {"replace_last", 2, 2, replace_one<find_last>},
    {"rstrip", 0, 0, trimmed<trim_right>},
    {"slice", 1, 2, slice},
    {"split", 1, 1, split_text},
    {"squish", 0, 0, changed<squished>},
    {"strip", 0, 0, trimmed<trim>},
    {"strip_newlines", 0, 0, changed<without_lines>},
    {"truncate", 0, 2, truncate},
    {"truncatewords", 0, 2, truncate_words},
    {"upcase", 0, 0, changed<upper>},
};

}  // namespace

std::span<const Filter> text_filters() {
  return kFilters;
}

}  // namespace cx::liquid
