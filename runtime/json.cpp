#include "runtime/json.hpp"

#include <fmt/format.h>
#include <iterator>
#include <simdjson.h>

namespace cx {

void append_json(std::string& out, std::string_view text) {
  const bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  out += '"';
  std::size_t plain = 0;  // start of what can be appended as it is
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool replaced = byte < 0x20 || (byte >= 0x80 && !utf8);
    if (!replaced && byte != '"' && byte != '\\') continue;
    out += text.substr(plain, i - plain);
    plain = replaced ? i + 1 : i;
    if (byte < 0x20)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    else
      out += replaced ? '?' : '\\';
  }
  out += text.substr(plain);
  out += '"';
}

}  // namespace cx
