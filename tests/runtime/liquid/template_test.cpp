#include <doctest/doctest.h>

#include "tests/runtime/liquid/rendered.hpp"

namespace cx::liquid {
namespace {

struct Case {
  std::string_view source;
  std::string_view data;
  std::string_view expected;
};

constexpr std::string_view kCart =
    R"({"customer": {"first_name": "Ada", "vip": true, "tags": ["a", "b"]},
        "cart": {"items": [{"name": "Tea", "price": 4.5}, {"name": "Cup", "price": 12}]},
        "n": 3, "none": [], "words": "one two", "a b": 1, "big": 18446744073709551615})";

TEST_CASE("tags do what the language says") {
  const Case cases[] = {
      // Output and look-ups
      {"Hello {{ customer.first_name }}!", kCart, "Hello Ada!"},
      {"{{ customer['first_name'] }} {{ ['a b'] }} {{ cart.items[-1].name }}", kCart, "Ada 1 Cup"},
      {"{{ cart.items.size }} {{ customer.tags.first }} {{ customer.tags.last }} {{ words.size }}", kCart,
       "2 a b 7"},
      {"{{ missing.name.more }}|{{ customer.tags['size'] }}|{{ n.size }}|{{ words[0] }}", kCart, "|||"},
      {"{{ customer.tags }} {{ customer }}", kCart,
       "ab {\"first_name\"=>\"Ada\", \"vip\"=>true, \"tags\"=>[\"a\", \"b\"]}"},
      {"{{ (1..3) }} {{ 1.0 }} {{ -0.5 }} {{ true }} {{ nil }} {{ 'q\"' }} {{ \"a'\" }}", "{}",
       "1..3 1.0 -0.5 true  q\" a'"},
      {"{{ big }} {{ 99999999999999999999 }}", kCart, "1.8446744073709552e+19 1.0e+20"},
      {"{{}}{{ }}{{-}}|{{- 'a' -}}  |", "{}", "|a|"},
      // Conditions
      {"{% if n > 2 and customer.vip %}yes{% elsif n %}maybe{% else %}no{% endif %}", kCart, "yes"},
      {"{% if n == 3.0 %}a{% endif %}{% if n != '3' %}b{% endif %}{% if words contains 'two' %}c{% endif %}",
       kCart, "abc"},
      {"{% if customer.tags contains 'b' %}a{% endif %}{% if customer contains 'vip' %}b{% endif %}", kCart,
       "ab"},
      {"{% if none == empty %}a{% endif %}{% if '  ' == blank %}b{% endif %}{% if '  ' == empty %}c{% endif "
       "%}",
       kCart, "ab"},
      {"{% if nil < 1 %}a{% else %}b{% endif %}{% if customer.tags < 3 %}c{% endif %}", kCart, "b"},
      {"{% if (1..3) contains 2 %}a{% endif %}{% if (1..3) == (1..3) %}b{% endif %}", "{}", "ab"},
      {"{% unless n == 3 %}a{% elsif n == 3 %}b{% else %}c{% endunless %}", kCart, "b"},
      {"{% case n %}{% when 1, 2 %}few{% when 3 or 4 %}some{% else %}many{% endcase %}", kCart, "some"},
      {"{% case none %}ignored{% when empty %}empty{% endcase %}", kCart, "empty"},
      // Loops
      {"{% for i in cart.items %}{{ forloop.index }}/{{ forloop.length }} {{ i.name }};{% endfor %}", kCart,
       "1/2 Tea;2/2 Cup;"},
      {"{% for i in (1..5) reversed limit: 2 offset: 1 %}{{ i }}{% endfor %}", "{}", "32"},
      {"{% for i in (1..9) limit: 2 %}{{ i }}{% endfor %}-{% for i in (1..9) offset: continue limit: 3 %}{{ "
       "i }}{% endfor %}",
       "{}", "12-345"},
      {"{% for i in none %}x{% else %}nothing{% endfor %}", kCart, "nothing"},
      {"{% for p in customer %}{{ p[0] }}={{ p | last }} {% endfor %}", kCart,
       "first_name=Ada vip=true tags=ab "},
      {"{% for i in (1..4) %}{% if i == 2 %}{% continue %}{% elsif i == 4 %}{% break %}{% endif %}{{ i }}{% "
       "endfor %}",
       "{}", "13"},
      {"{% for i in (1..2) %}{% for j in (1..2) %}{{ forloop.parentloop.index }}{{ j }} {% endfor %}{% "
       "endfor %}",
       "{}", "11 12 21 22 "},
      {"{% for i in (1..3) %}{% assign i = 9 %}{{ i }}{% endfor %}{{ i }}", "{}", "1239"},
      {"{% for i in (1..1000000000000) limit: 2 %}{{ i }}{% endfor %}", "{}", "12"},
      {"{% for i in (1..3) limit: -1 %}x{% else %}none{% endfor %}", "{}", "none"},
      {"a{% break %}b", "{}", "a"},
      {"{% for i in (1..3) %}{% cycle 'a', 'b' %}{% endfor %}{% cycle 'a', 'b' %}", "{}", "abab"},
      {"{% tablerow i in (1..3) cols: 2 %}{{ i }}{% endtablerow %}", "{}",
       "<tr class=\"row1\">\n<td class=\"col1\">1</td><td class=\"col2\">2</td></tr>\n<tr class=\"row2\"><td "
       "class=\"col1\">3</td></tr>\n"},
      // Variables
      {"{% assign a = n | plus: 1 %}{{ a }}{% capture b %}<{{ a }}>{% endcapture %}{{ b }}", kCart, "4<4>"},
      {"{% capture 'quoted' %}x{% endcapture %}{{ quoted }}", "{}", "x"},
      {"{% increment c %}{% increment c %}{{ c }}{% decrement d %}{% assign c = 'x' %}{{ c }}{% increment c "
       "%}",
       "{}", "012-1x2"},
      {"{% ifchanged %}a{% endifchanged %}{% ifchanged %}a{% endifchanged %}{% ifchanged %}b{% endifchanged "
       "%}",
       "{}", "ab"},
      // Not rendered
      {"a{% comment %}{{ b }{% if %}{% endcomment %}c{%# no %}d{% doc %}{{{% enddoc %}", "{}", "acd"},
      {"{% raw %}{{ a }}{% if %}{% endraw %}", "{}", "{{ a }}{% if %}"},
      {"{% liquid\n assign a = 2\n # note\n if a > 1\n echo a\n endif %}", "{}", "2"},
      // Space
      {"a \n {%- if true -%} \n b \n {%- endif -%} \n c", "{}", "abc"},
      {"[{% if true %}  {% assign a = 1 %}  {% endif %}]", "{}", "[]"},
      {"[{% for i in (1..2) %} {% endfor %}]", "{}", "[]"},
      {"{ { }} %} {", "{}", "{ { }} %} {"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.source);
    CHECK(rendered(c.source, c.data) == c.expected);
  }
}

TEST_CASE("partials share or do not share what surrounds them") {
  Partials partials;
  const auto add = [&](const std::string& name, std::string_view source) {
    partials.emplace(name, *Template::compile(source));
  };
  add("who", "{{ name }}{{ x }}");
  add("set", "{% assign x = 'set' %}");
  add("mail/item", "{{ item.n }}{{ forloop.index }};");
  add("stop", "{% break %}");
  add("change", "{{ name }}{% assign name = '-C-' %}{{ name }}");
  add("nested", "{% include 'who' %}");
  add("self", "{% include 'self' %}");
  add("bad", "\n  {{ 1 | divided_by: 0 }}");
  Options options;
  options.partials = &partials;
  constexpr std::string_view data =
      R"({"name": "Ada", "items": [{"n": 1}, {"n": 2}], "item": {"n": 9}, "h": {"a": 1}})";
  const Case cases[] = {
      {"{% include 'who' %}{% include 'who', x: 1 %}{{ x }}", "", "AdaAda1"},
      {"{% include 'set' %}{{ x }}", "", "set"},
      {"{% render 'who' %}{% render 'who', name: 'B', x: name %}", "", "BAda"},
      {"{% assign x = 'old' %}{% render 'set' %}{{ x }}", "", "old"},
      {"{% render 'change', name: 'B' %}{{ name }}", "", "B-C-Ada"},
      {"{% render 'mail/item' for items %}{% render 'mail/item' with items[0] %}{% render 'mail/item' for "
       "items as item %}",
       "", "11;22;1;11;22;"},
      {"{% include 'mail/item' for items %}{% include 'mail/item' with items[1] %}", "", "1;2;2;"},
      {"{% for i in (1..2) %}{{ i }}{% include 'stop' %}x{% endfor %}{% for i in (1..2) %}{{ i }}{% render "
       "'stop' %}x{% endfor %}",
       "", "11x2x"},
      {"{% assign which = 'who' %}{% include which %}", "", "Ada"},
      {"{% render 'nested' %}", "",
       "ERROR invalid-template: in 'nested', line 1, column 1: 'include' does not work inside of 'render': "
       "use 'render' here, too"},
      {"{% include 'nobody' %}", "",
       "ERROR invalid-template: line 1, column 1: there is no partial 'nobody'"},
      {"{% include items %}", "",
       "ERROR invalid-template: line 1, column 12: the name of a partial must be a string"},
      {"{% include 'self' %}", "",
       "ERROR template-limit: in 'self', line 1, column 1: blocks and partials are nested deeper than 64"},
      {"{% include 'bad' %}", "",
       "ERROR invalid-template: in 'bad', line 2, column 10: the filter 'divided_by': divided by 0"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.source);
    CHECK(rendered(c.source, data, options) == c.expected);
  }
}

TEST_CASE("with HTML, what is printed is escaped once") {
  Options html;
  html.html = true;
  constexpr std::string_view data = R"({"x": "<b>&", "list": ["<", ">"], "o": {"k": "<"}})";
  const Case cases[] = {
      {"<p>{{ x }}</p>", "", "<p>&lt;b&gt;&amp;</p>"},
      {"{{ x | raw }} {{ x | safe }} {{ x | raw | upcase }}", "", "<b>& <b>& &lt;B&gt;&amp;"},
      {"{{ x | escape }} {{ x | escape_once }} {{ x | h }}", "",
       "&lt;b&gt;&amp; &lt;b&gt;&amp; &lt;b&gt;&amp;"},
      {"{% capture c %}<i>{{ x }}</i>{% endcapture %}{{ c }} {{ c | append: x }}", "",
       "<i>&lt;b&gt;&amp;</i> &lt;i&gt;&amp;lt;b&amp;gt;&amp;amp;&lt;/i&gt;&lt;b&gt;&amp;"},
      {"{{ list }} {{ list | join: '<' }} {{ o }}", "",
       "&lt;&gt; &lt;&lt;&gt; {&quot;k&quot;=&gt;&quot;&lt;&quot;}"},
      {"{% cycle x %}{% echo x %}{{ '<' }}{{ x | json }}", "",
       "&lt;b&gt;&amp;&lt;b&gt;&amp;&lt;&quot;&lt;b&gt;&amp;&quot;"},
      {"{% assign y = x | raw %}{{ y }}{{ x | split: '' }}", "", "<b>&&lt;b&gt;&amp;"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.source);
    CHECK(rendered(c.source, data, html) == c.expected);
  }
  CHECK(rendered("{{ x }}{{ x | raw }}", data) == "<b>&<b>&");
}

TEST_CASE("with strict variables, what is missing is an error") {
  Options strict;
  strict.strict_variables = true;
  constexpr std::string_view data = R"({"a": {"b": null}, "list": [1]})";
  CHECK(rendered("{{ a.b }}{{ list[4] }}{% assign c = 1 %}{{ c }}", data, strict) == "1");
  CHECK(rendered("{{ a.c }}", data, strict) ==
        "ERROR invalid-template: line 1, column 4: 'c' is not defined");
  CHECK(rendered("\n{% if d %}{% endif %}", data, strict) ==
        "ERROR invalid-template: line 2, column 7: 'd' is not defined");
  CHECK(rendered("{{ a['x y'] }}", data, strict) ==
        "ERROR invalid-template: line 1, column 4: 'the part in brackets' is not defined");
}

TEST_CASE("an error says what is wrong, where, and what to do") {
  const Case cases[] = {
      {"a\n {{ b", "", "line 2, column 2: this {{ is not closed: add }}"},
      {"{% if a", "", "line 1, column 1: this {% is not closed: add %}"},
      {"{% if a %}", "", "line 1, column 1: 'if' is not closed: add {% endif %}"},
      {"{% if a %}{% endfor %}", "",
       "line 1, column 11: 'endfor' does not belong here: no open tag that it is part of"},
      {"é{% iff a %}", "", "line 1, column 2: there is no tag 'iff'"},
      {"{% %}", "", "line 1, column 1: this tag has no name"},
      {"{{ a | shout }}", "", "line 1, column 8: there is no filter 'shout'"},
      {"{{ a | append }}", "", "line 1, column 8: the filter 'append' takes 1 argument, not 0"},
      {"{{ a | slice: 1, 2, 3 }}", "", "line 1, column 8: the filter 'slice' takes 1 to 2 arguments, not 3"},
      {"{{ a | upcase: b: 1 }}", "", "line 1, column 16: the filter 'upcase' has no argument named 'b'"},
      {"{{ a b }}", "", "line 1, column 6: 'b' is more than was expected here"},
      {"{{ a. }}", "", "line 1, column 7: expected a name, found the end of it"},
      {"{{ 'a }}", "", "line 1, column 4: the string that begins here has no closing '"},
      {"{{ a ~ }}", "", "line 1, column 6: '~' means nothing here"},
      {"{% if a = 1 %}{% endif %}", "", "line 1, column 9: '=' means nothing here"},
      {"{% if %}{% endif %}", "", "line 1, column 7: expected a value, found the end of it"},
      {"{% for a of b %}{% endfor %}", "",
       "line 1, column 10: a loop reads {% for item in items %}: 'in' is missing"},
      {"{% for a in b step: 2 %}{% endfor %}", "",
       "line 1, column 15: expected 'limit: …', 'offset: …', or 'reversed' before these"},
      {"{% assign a %}", "",
       "line 1, column 1: an assignment reads {% assign name = value %}; a name is of letters, digits, '_' "
       "and '-'"},
      {"{% case a %}{% when %}{% endcase %}", "",
       "line 1, column 13: 'when' needs a value: {% when 'a' or 'b' %}"},
      {"{% render a %}", "",
       "line 1, column 11: 'render' needs the name of a template in quotes: {% render 'footer' %}"},
      {"{% liquid\n  echo a b\n%}", "", "line 2, column 10: 'b' is more than was expected here"},
      {"{% comment %}", "", "line 1, column 1: 'comment' is not closed: add {% endcomment %}"},
      {"{% raw %}", "", "line 1, column 1: 'raw' is not closed: add {% endraw %}"},
      {"{{ 1 | divided_by: 0 }}", "", "line 1, column 8: the filter 'divided_by': divided by 0"},
      {"{% if 1 < 'a' %}{% endif %}", "", "line 1, column 7: a number cannot be compared with a string"},
      {"{{ 'a' | concat: 'b' }}", "",
       "line 1, column 10: the filter 'concat': it takes an array, not a string"},
      {"{% for i in (1..2) limit: 'x' %}{% endfor %}", "", "line 1, column 27: this must be a whole number"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.source);
    CHECK(rendered(c.source) == "ERROR invalid-template: " + std::string(c.expected));
  }
  CHECK(rendered("\xff") == "ERROR invalid-template: The template is not UTF-8: save it as UTF-8.");
}

TEST_CASE("a template tells what it reads") {
  const auto compiled = Template::compile(
      "{{ customer.first_name | append: suffix }}{% for i in cart.items limit: max %}{{ i.name }}{{ "
      "forloop.index }}"
      "{% endfor %}{{ i }}{% assign total = cart.total.size %}{{ total }}{{ late }}{% assign late = 1 %}{{ "
      "late }}"
      "{{ products[0].title }}{{ links[section.menu]['main'] }}{{ ['a b'] }}{% if x == blank and y %}{% "
      "endif %}"
      "{% case k %}{% when v %}{% endcase %}{% render 'foot', year: now.year %}{% include \"head\" %}");
  REQUIRE(compiled);
  const std::vector<std::string> reads = {
      "a b", "cart.items", "cart.total", "customer.first_name", "i",      "k", "late", "links",
      "max", "now.year",   "products",   "section.menu",        "suffix", "v", "x",    "y"};
  CHECK(compiled->variables() == reads);
  CHECK(compiled->partials() == std::vector<std::string>{"foot", "head"});
}

}  // namespace
}  // namespace cx::liquid
