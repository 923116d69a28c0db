#include "actors/intake/strict_json.hpp"

#include <charconv>
#include <fmt/format.h>

#include "runtime/json.hpp"

namespace cx::intake {
namespace {

std::string_view trimmed(std::string_view token) {
  return token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
}

/// At most `most` bytes, and no half character.
std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return text.substr(0, most);
}

/// Whether a number is all that a token has.
bool is_all(std::string_view token) {
  double ignored = 0;
  return std::from_chars(token.data(), token.data() + token.size(), ignored).ptr ==
         token.data() + token.size();
}

}  // namespace

bool StrictReader::malformed(simdjson::error_code code) {
  if (code == simdjson::MEMALLOC) {
    error_ = {Code::overloaded, "out-of-memory",
              "There was no memory left for the body; send it again later.", ""};
    return false;
  }
  const auto say = [this](const char* what) {
    return fail("malformed-json", fmt::format("This is not JSON: {}.", what));
  };
  switch (code) {
    case simdjson::EMPTY:
      return say("it is empty; send an object");
    case simdjson::UTF8_ERROR:
      return say("it is not valid UTF-8; encode it as UTF-8");
    case simdjson::UNCLOSED_STRING:
      return say("it ends inside a string; was it truncated?");
    case simdjson::UNESCAPED_CHARS:
      return say("a string holds a raw control character; escape it, like \\n or \\u0001");
    case simdjson::STRING_ERROR:
      return say("a string holds an invalid escape sequence, or half a surrogate pair");
    case simdjson::NUMBER_ERROR:
      return say("a number is malformed, or too large for a double; write it like 0, -1.5 or 1e3");
    default:
      return say("a bracket, comma, colon, quote or value is missing or misplaced");
  }
}

bool StrictReader::within(std::string_view name) {
  std::string step("/");
  for (const char c : cut(name, 100)) {
    if (c == '~')
      step += "~0";
    else if (c == '/')
      step += "~1";
    else
      step += c;
  }
  error_.pointer.insert(0, step);
  return false;
}

bool StrictReader::too_deep() {
  return fail(
      "too-deep",
      fmt::format("Objects and lists are more than {} deep inside one another; flatten them.", most_depth_));
}

// simdjson makes ill-formed UTF-8 of the escape of a lone surrogate.
bool StrictReader::utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size()) || malformed(simdjson::STRING_ERROR);
}

bool StrictReader::distinct(std::size_t first) {
  const auto begin = names_.begin() + static_cast<std::ptrdiff_t>(first);
  std::sort(begin, names_.end());
  const auto twice = std::adjacent_find(begin, names_.end());
  if (twice != names_.end()) {
    fail("duplicate-field", "An object has this member twice; send it once.");
    return within(*twice);
  }
  names_.resize(first);
  return true;
}

bool StrictReader::text(Value& value, std::string_view& out) {
  if (const auto code = value.get_string().get(out)) return malformed(code);
  return utf8(out);
}

bool StrictReader::number(Value& value, std::string_view& out) {
  out = trimmed(value.raw_json_token());
  double ignored = 0;
  if (const auto code = value.get_double().get(ignored); code || !is_all(out))
    return malformed(simdjson::NUMBER_ERROR);
  return true;
}

bool StrictReader::null(Value& value) {
  bool is = false;
  if (const auto code = value.is_null().get(is); code || !is) return malformed(simdjson::N_ATOM_ERROR);
  return true;
}

bool StrictReader::copy(Value value, std::string& out, int depth) {
  Type type{};
  if (!type_of(value, type)) return false;
  std::string_view view;
  switch (type) {
    case Type::object: {
      out += '{';
      const auto member = [&](std::string_view name, Value inner) {
        if (out.back() != '{') out += ',';
        append_json(out, name);
        out += ':';
        return copy(inner, out, depth + 1);
      };
      if (!members(value, depth + 1, member)) return false;
      out += '}';
      return true;
    }
    case Type::array: {
      if (depth + 1 > most_depth_) return too_deep();
      simdjson::ondemand::array list;
      if (const auto code = value.get_array().get(list)) return malformed(code);
      out += '[';
      std::size_t index = 0;
      for (auto element : list) {
        Value inner;
        if (const auto code = element.get(inner)) return malformed(code);
        if (index > 0) out += ',';
        if (!copy(inner, out, depth + 1)) return within(std::to_string(index));
        ++index;
      }
      out += ']';
      return true;
    }
    case Type::string:
      view = trimmed(value.raw_json_token());
      out += view;
      return text(value, view);
    case Type::number:
      if (!number(value, view)) return false;
      out += view;
      return true;
    case Type::boolean: {
      bool is = false;
      if (const auto code = value.get_bool().get(is)) return malformed(code);
      out += is ? "true" : "false";
      return true;
    }
    case Type::null:
      out += "null";
      return null(value);
  }
  return malformed(simdjson::TAPE_ERROR);
}

}  // namespace cx::intake
