#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <string>

#include "runtime/liquid/filters.hpp"
#include "runtime/liquid/text.hpp"
#include "tests/runtime/liquid/rendered.hpp"

namespace cx::liquid {
namespace {

namespace json = boost::json;

std::string one_of(std::initializer_list<const char*> texts) {
  return *rc::gen::elementOf(std::vector<const char*>(texts));
}

std::string expression(int depth) {
  if (depth > 0 && *rc::gen::inRange(0, 4) == 0) {
    const auto inner = expression(depth - 1);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        return "a[" + inner + "]";
      case 1:
        return "o['k'][" + inner + "].size";
      case 2:
        return "(1.." + inner + ")";
      default:
        return "(" + inner + "..4)";
    }
  }
  return one_of({"a",       "o",           "o.k",     "s",       "n",
                 "f",       "t",           "nothing", "x",       "i",
                 "'<ü>'",   "\"q\"",       "-3",      "2.5",     "0",
                 "nil",     "true",        "blank",   "empty",   "(1..4)",
                 "a[0]",    "a[-1]",       "a.last",  "forloop", "forloop.index",
                 "i[1]",    "99999999999", "'k'",     "1",       "many",
                 "numbers", "texts",       "'%F %c'", "'now'",   "'aGk='",
                 "''"});
}

std::string filters() {
  std::string out;
  for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
    const auto families = {text_filters(), web_filters(), array_filters(), number_filters(), other_filters()};
    const auto family = families.begin()[*rc::gen::inRange<std::size_t>(0, families.size())];
    const auto& filter = family[*rc::gen::inRange<std::size_t>(0, family.size())];
    out += " | " + std::string(filter.name);
    const auto arguments = *rc::gen::inRange(filter.least, filter.most + 1);
    for (std::size_t i = 0; i < arguments; ++i) out += (i == 0 ? ": " : ", ") + expression(1);
  }
  return out;
}

std::string body(int depth);

std::string block(int depth) {
  const auto inside = [&] { return body(depth - 1); };
  switch (*rc::gen::inRange(0, 9)) {
    case 0:
      return "{% if " + expression(1) + one_of({" == ", " < ", " contains ", " and ", " or ", " != "}) +
             expression(1) + " %}" + inside() + "{% else %}" + inside() + "{% endif %}";
    case 1:
      return "{%- unless " + expression(1) + " -%}" + inside() + "{%- endunless %}";
    case 2:
      return "{% for i in " + expression(1) +
             one_of({"", " reversed", " limit: 2", " offset: n", " offset: continue"}) + " %}" + inside() +
             "{% else %}" + inside() + "{% endfor %}";
    case 3:
      return "{% tablerow i in " + expression(1) + one_of({"", " cols: 2", " limit: n"}) + " %}" + inside() +
             "{% endtablerow %}";
    case 4:
      return "{% case " + expression(0) + " %}{% when " + expression(0) + ", " + expression(0) + " %}" +
             inside() + "{% else %}" + inside() + "{% endcase %}";
    case 5:
      return "{% capture x %}" + inside() + "{% endcapture %}";
    case 6:
      return "{% ifchanged %}" + inside() + "{% endifchanged %}";
    case 7:
      return "{% comment %}" + inside() + "{% endcomment %}";
    default:
      return "{% raw %}" + inside() + "{% endraw %}";
  }
}

std::string body(int depth) {
  std::string out;
  for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
    switch (*rc::gen::inRange(0, depth > 0 ? 8 : 6)) {
      case 0:
        out += one_of({"text", " ", "\n", "<b>", "ü", "{", "}}", "%}"});
        break;
      case 1:
        out += "{{ " + expression(2) + filters() + " }}";
        break;
      case 2:
        out += "{% assign x = " + expression(2) + filters() + " %}";
        break;
      case 3:
        out += one_of({"{% break %}", "{% continue %}", "{% increment n %}", "{% decrement x %}",
                       "{% cycle a, 2 %}", "{%- # c -%}"});
        break;
      case 4:
        out += "{% cycle " + expression(0) + ": " + expression(0) + ", 'b' %}";
        break;
      case 5:
        out += "{% include 'part' with " + expression(1) + " %}{% render 'part' for " + expression(1) +
               ", x: s %}";
        break;
      default:
        out += block(depth);
    }
  }
  return out;
}

const json::object& data() {
  static const auto object =
      json::parse(
          R"({"a": [3, "b", null, [1, {"k": 2}], true, 1.5, {"k": "v"}], "o": {"k": [1, 2], "first": 1}, "s": "So<m>e ü text",
                      "n": 2, "f": 0.1,
                      "many": [{"k": 2, "t": "b"}, {"k": 1, "t": "a"}, {"k": 3}], "numbers": [3, 1.5, -2], "texts": ["b", "ü", "A"], "t": false, "nothing": null})")
          .as_object();
  return object;
}

// Renders twice: whatever it is, it is the same, within the limits, and UTF-8.
void check(const std::string& source) {
  Limits limits;
  limits.output_bytes = 20'000;
  limits.steps = 5'000;
  limits.work_bytes = 1'000'000;
  const auto compiled = Template::compile(source, limits);
  if (!compiled) {
    RC_ASSERT(!compiled.error().detail.empty());
    RC_ASSERT(compiled.error().code == Code::invalid_argument);
    return;
  }
  Partials partials;
  partials.emplace(
      "part",
      *Template::compile("{{ part }}{% for j in part %}{{ forloop.index }}{{ x }}{% break %}{% endfor %}"));
  for (const bool html : {false, true}) {
    Options options;
    options.html = html;
    options.partials = &partials;
    const auto once = compiled->render(data(), options);
    RC_CLASSIFY(static_cast<bool>(once), "rendered");
    const auto twice = compiled->render(data(), options);
    RC_ASSERT(static_cast<bool>(once) == static_cast<bool>(twice));
    if (!once) {
      RC_ASSERT(once.error().detail == twice.error().detail);
      continue;
    }
    RC_ASSERT(*once == *twice);
    RC_ASSERT(once->size() <= limits.output_bytes);
    RC_ASSERT(is_utf8(*once));
  }
}

TEST_CASE("random templates render the same twice, within their limits") {
  CHECK(rc::check([] { check(body(4)); }));
}

TEST_CASE("random bytes and broken templates never crash") {
  CHECK(rc::check([] {
    check(*rc::gen::container<std::string>(
        rc::gen::element('{', '}', '%', '-', ' ', 'a', '|', '\'', '[', '.', '#', '\n', '\xC3')));
  }));
  CHECK(rc::check([] {
    auto source = body(3);
    for (int n = *rc::gen::inRange(1, 4); n > 0 && !source.empty(); --n) {
      const auto at = *rc::gen::inRange<std::size_t>(0, source.size());
      const auto count = *rc::gen::inRange<std::size_t>(0, 6);
      source.replace(at, std::min(count, source.size() - at),
                     one_of({"", "{{", "%}", "'", "{%", " in ", "[", "-", "\xFF", "endif"}));
    }
    check(source);
  }));
}

TEST_CASE("a variable prints its text, and with HTML its text escaped") {
  CHECK(rc::check([](const std::vector<std::uint16_t>& characters) {
    std::string text;
    for (const auto c : characters)
      text += c % 3 == 0 ? "é" : c % 3 == 1 ? std::string(1, static_cast<char>(32 + c % 95)) : "<&\"";
    json::object object;
    object["x"] = text;
    const auto compiled = Template::compile("{{ x }}");
    Options html;
    html.html = true;
    std::string escaped;
    append_escaped(escaped, text);
    RC_ASSERT(*compiled->render(object) == text);
    RC_ASSERT(*compiled->render(object, html) == escaped);
    const auto round_trip = Template::compile(
        "{{ x | url_encode | url_decode }}{{ x | base64_encode | base64_decode }}{{ x | "
        "base64_url_safe_encode | base64_url_safe_decode }}"
        "{{ x | split: '' | join: '' }}");
    RC_ASSERT(*round_trip->render(object) == text + text + text + text);
  }));
}

}  // namespace
}  // namespace cx::liquid
