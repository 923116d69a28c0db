#include "runtime/liquid/value.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

namespace json = boost::json;

// Nested deeper than this is not printed, compared or flattened; JSON that was parsed is not that deep.
constexpr int kMaxNesting = 64;

Value convert(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return {};
    case json::kind::bool_:
      return Value(value.get_bool());
    case json::kind::int64:
      return Value(std::int64_t{value.get_int64()});
    case json::kind::uint64: {
      const auto number = value.get_uint64();
      if (number <= INT64_MAX) return Value(static_cast<std::int64_t>(number));
      return Value(static_cast<double>(number));
    }
    case json::kind::double_:
      return Value(value.get_double());
    case json::kind::string:
      return Value::borrowed(value.get_string());
    case json::kind::array:
    case json::kind::object:
      break;
  }
  return {};
}

int sign(int comparison) {
  return (comparison > 0) - (comparison < 0);
}

std::optional<double> number(const Value& value) {
  if (const auto* whole = value.as<std::int64_t>()) return static_cast<double>(*whole);
  if (const auto* real = value.as<double>()) return *real;
  return std::nullopt;
}

bool answers(const Value& value, Question question) {
  if (const auto* text = value.as<Text>())
    return question == Question::empty ? text->view.empty() : trim_left(text->view).empty();
  if (value.is_array()) return value.size() == 0;
  if (value.object()) return value.object()->empty();
  if (question == Question::empty) return false;
  const auto* flag = value.as<bool>();
  return value.nil() || (flag && !*flag);
}

bool equal_at(const Value& left, const Value& right, Work& work, int depth) {
  if (!work.bytes(16) || depth > kMaxNesting) return false;
  if (const auto* question = left.as<Question>()) return answers(right, *question);
  if (const auto* question = right.as<Question>()) return answers(left, *question);
  if (const auto* a = left.as<std::int64_t>(), *b = right.as<std::int64_t>(); a && b) return *a == *b;
  if (const auto a = number(left), b = number(right); a && b) return *a == *b;
  if (const auto* a = left.as<Text>(), *b = right.as<Text>(); a && b)
    return a->view.size() == b->view.size() && work.bytes(a->view.size()) && a->view == b->view;
  if (const auto* a = left.as<bool>(), *b = right.as<bool>(); a && b) return *a == *b;
  if (const auto* a = left.as<Range>(), *b = right.as<Range>(); a && b)
    return a->first == b->first && a->last == b->last;
  if (left.is_array() && right.is_array()) {
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i)
      if (!equal_at(left.at(i), right.at(i), work, depth + 1)) return false;
    return true;
  }
  if (const auto* a = left.object(), *b = right.object(); a && b) {
    if (a->size() != b->size()) return false;
    for (const auto& [key, value] : *a) {
      const auto* other = b->if_contains(key);
      if (!other || !equal_at(Value(value), Value(*other), work, depth + 1)) return false;
    }
    return true;
  }
  if (left.loop() || right.loop()) return left.loop() == right.loop();
  return left.nil() && right.nil();
}

std::optional<int> order_at(const Value& left, const Value& right, Work& work, int depth) {
  if (!work.bytes(16) || depth > kMaxNesting) return 0;
  if (const auto* a = left.as<std::int64_t>(), *b = right.as<std::int64_t>(); a && b)
    return (*a > *b) - (*a < *b);
  if (const auto a = number(left), b = number(right); a && b) {
    if (std::isnan(*a) || std::isnan(*b)) return std::nullopt;
    return (*a > *b) - (*a < *b);
  }
  if (const auto* a = left.as<Text>(), *b = right.as<Text>(); a && b) {
    work.bytes(std::min(a->view.size(), b->view.size()));
    return sign(a->view.compare(b->view));
  }
  if (left.is_array() && right.is_array()) {
    const auto common = std::min(left.size(), right.size());
    for (std::size_t i = 0; i < common; ++i)
      if (const auto first = order_at(left.at(i), right.at(i), work, depth + 1); !first || *first != 0)
        return first;
    return (left.size() > right.size()) - (left.size() < right.size());
  }
  if (equal_at(left, right, work, depth)) return 0;
  return std::nullopt;
}

void append_number(std::string& out, const Value& value) {
  if (const auto* whole = value.as<std::int64_t>()) out += std::to_string(*whole);
  if (const auto* real = value.as<double>()) append_float(out, *real);
}

void append_quoted(std::string& out, std::string_view text) {
  constexpr std::string_view special = "\a\b\t\n\v\f\r\x1B\"\\";
  constexpr std::string_view letters = "abtnvfre\"\\";
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto at = special.find(c);
    const bool interpolates = c == '#' && i + 1 < text.size() &&
                              std::string_view("{$@").find(text[i + 1]) != std::string_view::npos;
    if (at != std::string_view::npos) {
      out += '\\';
      out += letters[at];
    } else {
      if (interpolates) out += '\\';
      out += c;
    }
  }
  out += '"';
}

void append_elements(List& out, const Value& value, Work& work, int depth) {
  if (depth > kMaxNesting) return;
  for (std::size_t i = 0, n = value.size(); i < n && work.bytes(sizeof(Value)); ++i) {
    auto item = value.at(i);
    if (item.is_array()) {
      append_elements(out, item, work, depth + 1);
    } else {
      out.push_back(std::move(item));
    }
  }
}

}  // namespace

void Loop::next() {
  ++index;
  if (!table) return;
  if (column == columns) {
    column = 1;
    ++row;
  } else {
    ++column;
  }
}

std::optional<Value> Loop::attribute(std::string_view attribute) const {
  const auto whole = [](std::int64_t n) { return Value(n); };
  if (attribute == "length") return whole(length);
  if (attribute == "index") return whole(index + 1);
  if (attribute == "index0") return whole(index);
  if (attribute == "rindex") return whole(length - index);
  if (attribute == "rindex0") return whole(length - index - 1);
  if (attribute == "first") return Value(index == 0);
  if (attribute == "last") return Value(index == length - 1);
  if (!table) {
    if (attribute == "name") return Value::made(name);
    if (attribute == "parentloop") return parent ? Value(parent) : Value();
    return std::nullopt;
  }
  if (attribute == "col") return whole(column);
  if (attribute == "col0") return whole(column - 1);
  if (attribute == "row") return whole(row);
  if (attribute == "col_first") return Value(column == 1);
  if (attribute == "col_last") return Value(column == columns);
  return std::nullopt;
}

Value::Value(const json::value& value) {
  if (const auto* array = value.if_array()) {
    held_ = array;
  } else if (const auto* object = value.if_object()) {
    held_ = object;
  } else {
    *this = convert(value);
  }
}

Value Value::made(std::string text, bool safe) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  const std::string_view view = *owner;
  return Value(Text{view, std::move(owner), safe});
}

Value Value::list(List items) {
  Value value;
  value.held_ = std::make_shared<const List>(std::move(items));
  return value;
}

bool Value::truthy() const {
  const auto* flag = as<bool>();
  return !nil() && (!flag || *flag);
}

const json::object* Value::object() const {
  const auto* held = as<const json::object*>();
  return held ? *held : nullptr;
}

const json::array* Value::array() const {
  const auto* held = as<const json::array*>();
  return held ? *held : nullptr;
}

const List* Value::items() const {
  const auto* held = as<std::shared_ptr<const List>>();
  return held ? held->get() : nullptr;
}

const Loop* Value::loop() const {
  const auto* held = as<std::shared_ptr<const Loop>>();
  return held ? held->get() : nullptr;
}

std::size_t Value::size() const {
  if (array()) return array()->size();
  return items() ? items()->size() : 0;
}

Value Value::at(std::size_t index) const {
  return array() ? Value((*array())[index]) : (*items())[index];
}

std::string_view type_name(const Value& value) {
  if (value.nil()) return "nil";
  if (value.as<bool>()) return "a boolean";
  if (value.as<std::int64_t>() || value.as<double>()) return "a number";
  if (value.as<Text>()) return "a string";
  if (value.as<Range>()) return "a range";
  if (value.is_array()) return "an array";
  return "an object";
}

bool equal(const Value& left, const Value& right, Work& work) {
  return equal_at(left, right, work, 0);
}

std::optional<int> order(const Value& left, const Value& right, Work& work) {
  return order_at(left, right, work, 0);
}

void append_inspected(std::string& out, const Value& value, Work& work, int depth) {
  if (!work.bytes(16)) return;
  if (depth > kMaxNesting) {
    out += "...";
  } else if (value.nil()) {
    out += "nil";
  } else if (const auto* text = value.as<Text>()) {
    if (work.bytes(2 * text->view.size())) append_quoted(out, text->view);
  } else if (value.is_array()) {
    out += '[';
    for (std::size_t i = 0, n = value.size(); i < n && !work.spent(); ++i) {
      if (i > 0) out += ", ";
      append_inspected(out, value.at(i), work, depth + 1);
    }
    out += ']';
  } else if (value.object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : *value.object()) {
      if (work.spent()) break;
      if (!first) out += ", ";
      first = false;
      append_inspected(out, Value::borrowed(key), work, depth + 1);
      out += "=>";
      append_inspected(out, Value(item), work, depth + 1);
    }
    out += '}';
  } else {
    append_text(out, value, work);
  }
}

void append_text(std::string& out, const Value& value, Work& work) {
  if (const auto* text = value.as<Text>()) {
    if (work.bytes(text->view.size())) out += text->view;
  } else if (const auto* flag = value.as<bool>()) {
    out += *flag ? "true" : "false";
  } else if (const auto* range = value.as<Range>()) {
    out += std::to_string(range->first) + ".." + std::to_string(range->last);
  } else if (const auto* loop = value.loop()) {
    out += loop->table ? "Liquid::TablerowloopDrop" : "Liquid::ForloopDrop";
  } else if (value.is_array() || value.object()) {
    append_inspected(out, value, work);
  } else {
    append_number(out, value);
  }
}

void append_printed(std::string& out, const Value& value, bool html, Work& work, int depth) {
  if (!work.bytes(16) || depth > kMaxNesting) return;
  if (value.is_array()) {
    for (std::size_t i = 0, n = value.size(); i < n && !work.spent(); ++i)
      append_printed(out, value.at(i), html, work, depth + 1);
    return;
  }
  const auto* text = value.as<Text>();
  if (!html || (text && text->safe)) return append_text(out, value, work);
  std::string buffer;
  const auto plain = text_of(value, buffer, work);
  if (work.bytes(plain.size())) append_escaped(out, plain);
}

void append_json(std::string& out, const Value& value, Work& work, int depth) {
  if (!work.bytes(16)) return;
  if (depth > kMaxNesting || value.nil() || value.loop()) {
    out += "null";
  } else if (value.is_array()) {
    out += '[';
    for (std::size_t i = 0, n = value.size(); i < n && !work.spent(); ++i) {
      if (i > 0) out += ',';
      append_json(out, value.at(i), work, depth + 1);
    }
    out += ']';
  } else if (value.object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : *value.object()) {
      if (work.spent()) break;
      if (!first) out += ',';
      first = false;
      out += json::serialize(json::string_view(key));
      out += ':';
      append_json(out, Value(item), work, depth + 1);
    }
    out += '}';
  } else if (value.as<std::int64_t>() || value.as<bool>()) {
    append_text(out, value, work);
  } else if (const auto* real = value.as<double>()) {
    if (std::isfinite(*real)) {
      append_float(out, *real);
    } else {
      out += "null";
    }
  } else {
    std::string buffer;
    const auto text = text_of(value, buffer, work);
    if (work.bytes(2 * text.size())) out += json::serialize(json::string_view(text));
  }
}

std::string_view text_of(const Value& value, std::string& buffer, Work& work) {
  if (const auto* text = value.as<Text>()) return text->view;
  append_text(buffer, value, work);
  return buffer;
}

List elements(const Value& value, Work& work) {
  List items;
  if (value.is_array()) {
    append_elements(items, value, work, 0);
  } else if (const auto* range = value.as<Range>()) {
    const auto n = range->size();
    for (std::uint64_t i = 0; i < n && work.bytes(sizeof(Value)); ++i)
      items.push_back(Value(range->first + static_cast<std::int64_t>(i)));
  } else if (!value.nil()) {
    items.push_back(value);
  }
  return items;
}

std::optional<std::int64_t> whole_number(const Value& value) {
  if (const auto* whole = value.as<std::int64_t>()) return *whole;
  // Whole numbers of more than 64 bits arrive as fractions.
  if (const auto* real = value.as<double>()) {
    if (*real >= 0x1p63) return INT64_MAX;
    return *real < -0x1p63 ? std::optional<std::int64_t>(INT64_MIN) : std::nullopt;
  }
  const auto* text = value.as<Text>();
  if (!text) return std::nullopt;
  auto digits = trim(text->view);
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  std::int64_t number = 0;
  const auto* end = digits.data() + digits.size();
  const auto done = std::from_chars(digits.data(), end, number);
  if (done.ptr != end || done.ec == std::errc::invalid_argument) return std::nullopt;
  if (done.ec == std::errc::result_out_of_range) return digits.starts_with('-') ? INT64_MIN : INT64_MAX;
  return number;
}

}  // namespace cx::liquid
