#include "runtime/liquid/filters.hpp"

#include <unordered_map>

#include "runtime/liquid/date.hpp"
#include "runtime/liquid/reading.hpp"
#include "runtime/liquid/renderer.hpp"
#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

Value size(Call& call) {
  const auto* text = call.input.as<Text>();
  if (text) call.work.bytes(text->view.size());
  return Value(text ? static_cast<std::int64_t>(count_characters(text->view)) : Sequence(call.input).size());
}

Value first(Call& call) {
  const auto* text = call.input.as<Text>();
  if (text && !text->view.empty())
    return made(call, std::string(text->view.substr(0, character_bytes(text->view))));
  const Sequence sequence(call.input);
  return sequence.size() > 0 ? sequence.at(0) : Value();
}

Value last(Call& call) {
  const auto* text = call.input.as<Text>();
  if (text && !text->view.empty()) {
    auto at = text->view.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(text->view[at]) & 0xC0) == 0x80) --at;
    return made(call, std::string(text->view.substr(at)));
  }
  const Sequence sequence(call.input);
  return sequence.size() > 0 && !call.input.object() ? sequence.at(sequence.size() - 1) : Value();
}

Value otherwise(Call& call) {
  const auto& input = call.input;
  const auto* text = input.as<Text>();
  const bool nothing =
      text ? text->view.empty() : (input.is_array() || input.object()) && Sequence(input).size() == 0;
  const bool falsy = call.allow_false ? input.nil() : !input.truthy();
  if (!nothing && !falsy) return input;
  return call.has(0) ? call.arguments[0] : Value::borrowed("");
}

Value date(Call& call) {
  const Reading format(call.arguments[0], call.work);
  if (format.view.empty()) return call.input;
  std::optional<Moment> moment;
  if (const auto* seconds = call.input.as<std::int64_t>()) {
    moment = Moment{.seconds = *seconds, .zone = "UTC"};
  } else if (const auto* text = call.input.as<Text>()) {
    call.work.bytes(text->view.size());
    moment = parse_moment(text->view, call.now);
  }
  if (!moment) return call.input;
  std::string out;
  if (!append_moment(out, format.view, *moment, call.work))
    return call.work.spent() ? Value() : call.fail("a width in the format is over 1000");
  return made(call, std::move(out));
}

constexpr Filter kFilters[] = {
    {"date", 1, 1, date}, {"default", 0, 2, otherwise, true}, {"first", 0, 0, first}, {"last", 0, 0, last},
    {"size", 0, 0, size},
};

}  // namespace

std::span<const Filter> other_filters() {
  return kFilters;
}

const Filter* find_filter(std::string_view name) {
  static const auto all = [] {
    std::unordered_map<std::string_view, const Filter*> filters;
    for (const auto family :
         {text_filters(), web_filters(), array_filters(), number_filters(), other_filters()})
      for (const auto& filter : family) filters.emplace(filter.name, &filter);
    return filters;
  }();
  const auto at = all.find(name);
  return at == all.end() ? nullptr : at->second;
}

}  // namespace cx::liquid
