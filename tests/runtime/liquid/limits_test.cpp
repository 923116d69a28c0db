#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <doctest/doctest.h>
#include <string>
#include <thread>
#include <vector>

#include "tests/runtime/liquid/rendered.hpp"

namespace cx::liquid {
namespace {

namespace json = boost::json;

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string nested(std::string_view open, std::string_view close, std::size_t times) {
  return repeated(open, times) + repeated(close, times);
}

TEST_CASE("what a template may use up is limited") {
  const std::string cases[] = {
      repeated("a", 300'000),
      nested("{% if true %}", "{% endif %}", 100),
      "{% liquid " + repeated("liquid ", 1000) + "%}",
      "{% for i in (1..100000000) %}{% endfor %}",
      "{% for i in (1..1000) %}{% for j in (1..1000) %}{{ j }}{% endfor %}{% endfor %}",
      "{% for i in (1..300) %}{% tablerow j in (1..1000) %}{% endtablerow %}{% endfor %}",
      "{% assign a = 'aaaaaaaaaaaaaaaa' %}{% for i in (1..100) %}{% assign a = a | append: a %}{% endfor %}",
      "{% assign a = 'aaaaaaaaaaaaaaaa' %}{% for i in (1..100) %}{% capture a %}{{ a }}{{ a }}{% endcapture "
      "%}{% endfor %}",
      "{{ (1..1000000000) | join: '' }}",
      "{{ (1..9223372036854775807) | reverse | first }}",
      "{% assign s = (1..20000) | join: 'aaaa' %}{{ s | replace: '', s }}",
      "{% assign s = (1..200000) | join: 'aaaa' %}{% for i in (1..1000) %}{{ s | upcase | size }}{% endfor "
      "%}",
      "{% assign s = (1..50000) | join: '' %}{% for i in (1..1000) %}{% if s contains 'x' %}{% endif %}{% "
      "endfor %}",
      "{% assign s = (1..50000) | join: '' %}{% for i in (1..1000) %}{% if s == s %}{% endif %}{% endfor %}",
      "{% assign s = (1..200000) | join: 'aaaaaaa' %}{{ s }}{{ s }}{{ s }}",
      "{% assign f = (1..1000) | join: '%c' %}{% for i in (1..1000) %}{{ 1 | date: f | size }}{% endfor %}",
      "{% for i in (1..1000) %}{{ a" + repeated("[0]", 2000) + " }}{% endfor %}",
      "{% for i in (1..1000) %}{% if a " + repeated("or a ", 1000) + "%}{% endif %}{% endfor %}",
      "{% for i in (1..100) %}{% cycle " + repeated("'a',", 50'000) + "'b' %}{% cycle 'b' %}{% endfor %}" +
          "{% for i in (1..1000) %}{% cycle '" + repeated("n", 40'000) + "': 'a' %}{% endfor %}",
  };
  for (const auto& source : cases) {
    CAPTURE(source.substr(0, 120));
    const auto text = rendered(source);
    CHECK_MESSAGE(text.starts_with("ERROR template-limit"), text.substr(0, 200));
  }
}

TEST_CASE("hostile syntax is refused or harmless") {
  const std::string cases[] = {
      "{{ " + nested("a[", "]", 10'000) + " }}",
      "{{ " + nested("(1..", ")", 10'000) + " }}",
      "{{ a" + repeated("[a", 50'000) + " }}",
      repeated("{{", 100'000),
      repeated("{%", 100'000),
      repeated("{% raw %}", 20'000),
      repeated("{% comment %}", 19'000),
      repeated("{% doc ", 30'000),
      "{% raw %}" + repeated("{%", 100'000),
      "{% raw %}" + repeated("{%- ", 60'000),
      "{% assign " + repeated("a", 200'000) + " = 1 %}",
      "{% case x %}{% when " + repeated("\"", 200'001) + " %}{% endcase %}",
      "{% case x %}{% when " + repeated("'a' ", 50'000) + " %}{% endcase %}",
      "{% cycle " + repeated("'", 200'001) + " %}",
      "{{ " + repeated("1", 200'000) + " }}",
      "{{ '" + repeated("1", 200'000) + ".5' | plus: 1 }}",
      "{{ a" + repeated(" | upcase", 25'000) + " }}",
      "{% render 'a', " + repeated("a: 1, ", 30'000) + " %}",
      std::string("{{ 'a\0b' | strip }}\0{% if %}", 29),
  };
  for (const auto& source : cases) {
    CAPTURE(source.substr(0, 60));
    static_cast<void>(rendered(source));
  }
  CHECK(rendered("{{ (1..3" + repeated(")", 3) + " }}").starts_with("ERROR"));
}

TEST_CASE("hostile data is bounded, too") {
  json::value deep = json::array();
  for (int i = 0; i < 300; ++i) {
    json::array outer;
    outer.push_back(std::move(deep));
    deep = std::move(outer);
  }
  json::object data;
  data["deep"] = deep;
  data["same"] = deep;
  data["long"] = repeated("<", 500'000);
  data["angles"] = repeated("<!--<script", 40'000);
  data["amp"] = repeated("&aaaa", 100'000);
  data["many"] = json::array(20'000, "x");
  data["a"] = repeated("a", 200'000);
  data["needle"] = repeated("a", 50'000) + "b";
  for (const std::string_view source :
       {"{{ deep }}{{ deep | json }}{{ deep | append: '' }}{{ deep | join }}",
        "{% if deep == same %}{% endif %}", "{{ long | strip_html | size }}{{ long | escape | size }}",
        "{{ angles | strip_html | size }}", "{{ amp | escape_once | size }}",
        "{% if a contains needle %}{% endif %}{{ a | replace_last: needle, '' | size }}",
        "{{ many | sort | uniq | size }}"}) {
    CAPTURE(source);
    const auto compiled = Template::compile(source);
    REQUIRE(compiled);
    const auto text = compiled->render(data);
    CHECK_MESSAGE(text, text.error().detail);
  }
}

TEST_CASE("one template is rendered by many threads") {
  const auto compiled = Template::compile(
      "{% for i in (1..20) %}{% assign x = i | times: n %}{% cycle 'a', 'b' %}{{ x }}{% capture c %}{{ c "
      "}}{{ n }}{% endcapture %}"
      "{% endfor %}{{ c | size }}");
  REQUIRE(compiled);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      json::object data;
      data["n"] = static_cast<int>(t);
      const auto expected = compiled->render(data);
      for (int i = 0; i < 200; ++i) {
        const auto text = compiled->render(data);
        if (!text || *text != *expected) ++wrong[t];
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
}

}  // namespace
}  // namespace cx::liquid
