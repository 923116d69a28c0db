#include "runtime/liquid/filters.hpp"
#include "runtime/liquid/reading.hpp"
#include "runtime/liquid/text.hpp"

/// HTML, URLs, JSON.
namespace cx::liquid {
namespace {

// Escaped text is HTML: printing it does not escape it again.
Value escape(Call& call) {
  if (call.input.nil()) return {};
  const Reading input(call.input, call.work);
  std::string out;
  if (!call.work.spent()) append_escaped(out, input.view);
  return made(call, std::move(out), true);
}

Value escape_once(Call& call) {
  const Reading input(call.input, call.work);
  return call.work.spent() ? Value() : made(call, escaped_once(input.view), true);
}

Value raw(Call& call) {
  if (const auto* text = call.input.as<Text>()) return Value(Text{text->view, text->owner, true});
  std::string out;
  append_printed(out, call.input, false, call.work);
  return made(call, std::move(out), true);
}

Value strip_html(Call& call) {
  const Reading input(call.input, call.work);
  return call.work.spent() ? Value() : made(call, without_tags(input.view));
}

Value url_encode(Call& call) {
  if (call.input.nil()) return {};
  const Reading input(call.input, call.work);
  return call.work.spent() ? Value() : made(call, url_encoded(input.view));
}

Value url_decode(Call& call) {
  if (call.input.nil()) return {};
  const Reading input(call.input, call.work);
  auto text = url_decoded(input.view);
  if (!is_utf8(text)) return call.fail("what it decodes to is not UTF-8");
  return made(call, std::move(text));
}

template <bool Url>
Value base64_encode(Call& call) {
  const Reading input(call.input, call.work);
  return call.work.spent() ? Value() : made(call, base64(input.view, Url));
}

template <bool Url>
Value base64_decode(Call& call) {
  const Reading input(call.input, call.work);
  auto text = from_base64(input.view, Url);
  if (!text) return call.fail("this is not base64");
  if (!is_utf8(*text)) return call.fail("what it decodes to is not UTF-8");
  return made(call, std::move(*text));
}

Value to_json(Call& call) {
  std::string out;
  append_json(out, call.input, call.work);
  return made(call, std::move(out));
}

constexpr Filter kFilters[] = {
    {"base64_decode", 0, 0, base64_decode<false>},
    {"base64_encode", 0, 0, base64_encode<false>},
    {"base64_url_safe_decode", 0, 0, base64_decode<true>},
    {"base64_url_safe_encode", 0, 0, base64_encode<true>},
    {"escape", 0, 0, escape},
    {"escape_once", 0, 0, escape_once},
    {"h", 0, 0, escape},
    {"json", 0, 0, to_json},
    {"raw", 0, 0, raw},
    {"safe", 0, 0, raw},
    {"strip_html", 0, 0, strip_html},
    {"url_decode", 0, 0, url_decode},
    {"url_encode", 0, 0, url_encode},
};

}  // namespace

std::span<const Filter> web_filters() {
  return kFilters;
}

}  // namespace cx::liquid
