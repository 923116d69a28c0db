#include <doctest/doctest.h>

#include "tests/runtime/liquid/rendered.hpp"

namespace cx::liquid {
namespace {

struct Case {
  std::string_view expression;
  std::string_view expected;
};

constexpr std::string_view kData = R"({
  "people": [{"n": "Bo", "age": 9, "on": true}, {"n": "al", "age": 10}, {"n": "Cy", "on": false}],
  "mixed": ["b", "a", null, "C"], "numbers": [3, 1, 2.5], "nested": [1, [2, [3]]], "o": {"k": "v"}, "e": "Ünï ß",
  "list": [1, 1.0, "1", 1], "nothing": null, "html": "<p>a<br/>b</p><script>x</script><!-- c -->", "f": 10.0})";

void check(std::initializer_list<Case> cases, const Options& options = {}) {
  for (const auto& c : cases) {
    CAPTURE(c.expression);
    const auto text = rendered("{{ " + std::string(c.expression) + " }}", kData, options);
    if (c.expected == "ERROR") {
      CHECK(text.starts_with("ERROR invalid-template"));
    } else {
      CHECK(text == c.expected);
    }
  }
}

TEST_CASE("filters of texts") {
  check({
      {"'a' | append: 1 | prepend: 2.0", "2.0a1"},
      {"e | upcase", "ÜNÏ SS"},
      {"e | downcase", "ünï ß"},
      {"'hELLO wORLD' | capitalize", "Hello world"},
      {"'élan' | capitalize", "Élan"},
      {"e | size", "5"},
      {"e | slice: 0", "Ü"},
      {"e | slice: -3, 2", "ï "},
      {"e | slice: 5, 2", ""},
      {"e | slice: 6", ""},
      {"'abc' | slice: -9", ""},
      {"numbers | slice: 1, 5 | join: ','", "1,2.5"},
      {"'abc' | slice: nil", "ERROR"},
      {"e | truncate: 4", "Ü..."},
      {"e | truncate: 5", "Ünï ß"},
      {"'abcdef' | truncate: 2", "..."},
      {"'abcdef' | truncate: 4, '…'", "abc…"},
      {"'a b  c' | truncatewords: 2", "a b..."},
      {"'a b ' | truncatewords: 2", "a b..."},
      {"'a b' | truncatewords: 2", "a b"},
      {"' a  b ' | truncatewords: 3, ''", " a  b "},
      {"'  a \n b ' | strip", "a \n b"},
      {"'  a \n b ' | squish", "a b"},
      {"'a\r\nb\n' | newline_to_br", "a<br />\nb<br />\n"},
      {"'a\r\nb\n' | strip_newlines", "ab"},
      {"'a-b-c' | replace: '-', '+'", "a+b+c"},
      {"'aaa' | replace: 'aa', 'b'", "ba"},
      {"'üb' | replace: '', '.'", ".ü.b."},
      {"'a-b-c' | replace_first: '-'", "ab-c"},
      {"'a-b-c' | replace_last: '-', ''", "a-bc"},
      {"'a-b-c' | remove: '-'", "abc"},
      {"'a-b-c' | remove_first: '-'", "ab-c"},
      {"'a-b-c' | remove_last: '-'", "a-bc"},
      {"',a,,b,,' | split: ',' | join: '|'", "|a||b"},
      {"' a  b ' | split: ' ' | join: '|'", "a|b"},
      {"'üb' | split: '' | join: '|'", "ü|b"},
      {"12 | split: '' | last", "2"},
      {"mixed | append: ''", "[\"b\", \"a\", nil, \"C\"]"},
      {"'#$x \"q\"' | split: '|' | append: ''", "[\"\\#$x \\\"q\\\"\"]"},
      {"'abc' | slice: 99999999999999999999, 2", ""},
      {"'abc' | slice: 1, 99999999999999999999", "bc"},
  });
}

TEST_CASE("filters of the web") {
  check({
      {"'<a href=\"x\">&amp;' | escape", "&lt;a href=&quot;x&quot;&gt;&amp;amp;"},
      {"\"it's &amp; &#39; &x &;\" | escape_once", "it&#39;s &amp; &#39; &amp;x &amp;;"},
      {"html | strip_html", "ab"},
      {"'<script>a<style>b</style>' | strip_html", "a"},
      {"'a < b' | strip_html", "a < b"},
      {"'a b+c/ü~*' | url_encode", "a+b%2Bc%2F%C3%BC~%2A"},
      {"'a+b%2Bc%C3%BC%zz' | url_decode", "a b+cü%zz"},
      {"'%ff' | url_decode", "ERROR"},
      {"'one two' | base64_encode", "b25lIHR3bw=="},
      {"'b25lIHR3bw==' | base64_decode", "one two"},
      {"'b25lIHR3bw' | base64_decode", "ERROR"},
      {"'b25lIHR3bw' | base64_url_safe_decode", "one two"},
      {"'/w==' | base64_decode", "ERROR"},
      {"'b2=l' | base64_decode", "ERROR"},
      {"'ÿ?>' | base64_url_safe_encode", "w78_Pg=="},
      {"people | map: 'n' | json", "[\"Bo\",\"al\",\"Cy\"]"},
      {"people[2] | json", "{\"n\":\"Cy\",\"on\":false}"},
      {"(1..3) | json", "\"1..3\""},
      {"nothing | json", "null"},
      {"10.50 | json", "10.5"},
  });
}

TEST_CASE("filters of arrays") {
  check({
      {"people | map: 'n' | sort | join", "Bo Cy al"},
      {"people | map: 'n' | sort_natural | join", "al Bo Cy"},
      {"people | sort: 'age' | map: 'n' | join", "Bo al Cy"},
      {"mixed | sort | join: ','", "C,a,b,"},
      {"mixed | sort_natural | join: ','", "a,b,C,"},
      {"numbers | sort | join: ','", "1,2.5,3"},
      {"list | sort", "ERROR"},
      {"list | uniq | json", "[1,1.0,\"1\"]"},
      {"people | where: 'on' | map: 'n' | join", "Bo"},
      {"people | where: 'on', false | map: 'n' | join", "Cy"},
      {"people | where: 'age', 10 | map: 'n' | join", "al"},
      {"people | reject: 'on' | map: 'n' | join", "al Cy"},
      {"people | find: 'n', 'al' | json", "{\"n\":\"al\",\"age\":10}"},
      {"people | find_index: 'n', 'Cy'", "2"},
      {"people | find_index: 'n', 'Di'", ""},
      {"people | has: 'age', 9", "true"},
      {"people | has: 'age', 11", "false"},
      {"people | sum: 'age'", "19"},
      {"numbers | sum", "6.5"},
      {"nested | sum", "6"},
      {"people | compact: 'age' | map: 'n' | join", "Bo al"},
      {"people | uniq: 'zip' | map: 'n' | join", "Bo"},
      {"mixed | compact | size", "3"},
      {"nested | concat: nested | json", "[1,2,3,1,[2,[3]]]"},
      {"nested | reverse | join", "3 2 1"},
      {"(1..3) | reverse | first", "3"},
      {"o | first | join: '='", "k=v"},
      {"o | map: 'k' | first", "v"},
      {"numbers | map: 'x'", "ERROR"},
      {"numbers | first", "3"},
      {"numbers | last", "2.5"},
      {"(1..9) | size", "9"},
      {"nothing | sort | size", "0"},
      {"'text' | join: '-'", "text"},
      {"mixed | where: 'a' | size", "0"},
  });
}

TEST_CASE("filters of numbers are exact where decimals are") {
  check({
      {"0.1 | plus: 0.2", "0.3"},
      {"'10.1' | minus: '2.2'", "7.9"},
      {"1.1 | times: 1.1", "1.21"},
      {"7 | divided_by: 2", "3"},
      {"-7 | divided_by: 2", "-4"},
      {"7.0 | divided_by: 2", "3.5"},
      {"20 | divided_by: 7.0", "2.857142857142857"},
      {"7 | divided_by: 0.0", "ERROR"},
      {"-7 | modulo: 3", "2"},
      {"7 | modulo: -3", "-2"},
      {"-7.5 | modulo: 2", "0.5"},
      {"1 | modulo: 0", "ERROR"},
      {"2.5 | round", "3"},
      {"-2.5 | round", "-3"},
      {"1.005 | round: 2", "1.01"},
      {"1250 | round: -2", "1300"},
      {"12 | round: 2", "12"},
      {"5.0 | round: 2", "5.0"},
      {"1.2 | round: 1000000000", "1.2"},
      {"-1.2 | ceil", "-1"},
      {"'-1.2' | floor", "-2"},
      {"'12abc' | plus: ' 3'", "15"},
      {"'1e3' | plus: 0", "1"},
      {"-0.5 | abs", "0.5"},
      {"5 | at_least: 5.5", "5.5"},
      {"5 | at_most: 4.0", "4.0"},
      {"true | plus: 1", "1"},
      {"9223372036854775807 | plus: 1", "9.223372036854776e+18"},
      {"-9223372036854775808 | divided_by: -1", "9.223372036854776e+18"},
      {"-9223372036854775808 | modulo: -1", "0"},
      {"-9223372036854775808 | abs", "9.223372036854776e+18"},
      {"f | times: 10000000000000000.0", "1.0e+17"},
      {"1 | divided_by: 3.0", "0.3333333333333333"},
      {"'1.5' | times: 99999999999999999999", "1.5e+20"},
      {"0.1 | times: 0.00000000000000000001", "1.0e-21"},
      {"'123456789012345678901234567890.5' | plus: 1", "1.2345678901234568e+29"},
      {"'1234567890123456789012345678901234567890.5' | minus: 1.0", "1.2345678901234568e+39"},
      {"100000000000000000000000000000000000000.0 | plus: 0.1", "1.0e+38"},
      {"100000000000000000000000000000000000000.0 | modulo: -0.25", "0.0"},
      {"99999999999999999999 | floor", "1.0e+20"},
      {"99999999999999999999 | at_least: 0.00000000000000000000001", "1.0e+20"},
      {"'-0.5' | round", "-1"},
      {"0.4 | round: -9999999999", "0"},
      {"2.675 | round: 2.9", "2.68"},
      {"f | divided_by: 100000000", "1.0e-07"},
      {"f | divided_by: 100000", "0.0001"},
      {"1234567.5 | times: 100000000", "123456750000000.0"},
  });
}

TEST_CASE("the other filters") {
  check({
      {"nothing | default: 'x'", "x"},
      {"false | default: 'x'", "x"},
      {"false | default: 'x', allow_false: true", "false"},
      {"'' | default: 'x'", "x"},
      {"0 | default: 'x'", "0"},
      {"nothing | default", ""},
      {"'ü' | first", "ü"},
      {"'aü' | last", "ü"},
      {"5 | first", ""},
  });
}

TEST_CASE("dates are read and printed as Ruby does") {
  Options options;
  options.now = 1'457'954'105'250;  // 2016-03-14 11:15:05.250, a Monday
  const std::string_view all = "'%Y-%m-%d %H:%M:%S %z %Z'";
  const auto when = [&](std::string_view text) {
    return rendered("{{ '" + std::string(text) + "' | date: " + std::string(all) + " }}", "{}", options);
  };
  const Case times[] = {
      {"now", "2016-03-14 11:15:05 +0000 UTC"},
      {"Today", "2016-03-14 11:15:05 +0000 UTC"},
      {"0", "1970-01-01 00:00:00 +0000 UTC"},
      {"2016-02-29T10:11:12Z", "2016-02-29 10:11:12 +0000 UTC"},
      {"2016-02-29 10:11:12.5 +0530", "2016-02-29 10:11:12 +0530 "},
      {"2016-02-29T10:11:12-07:00", "2016-02-29 10:11:12 -0700 "},
      {"Mon, 14 Mar 2016 10:11:12 GMT", "2016-03-14 10:11:12 +0000 UTC"},
      {"Mon, 14 Mar 2016 10:11:12 EST", "2016-03-14 10:11:12 -0500 EST"},
      {"March 14, 2016", "2016-03-14 00:00:00 +0000 UTC"},
      {"March 1st 2016 9:05 pm", "2016-03-01 21:05:00 +0000 UTC"},
      {"14 march 2016 12 am", "2016-03-14 00:00:00 +0000 UTC"},
      {"14-Mar-16", "2016-03-14 00:00:00 +0000 UTC"},
      {"14.03.2016", "2016-03-14 00:00:00 +0000 UTC"},
      {"14/03/2016", "2016-03-14 00:00:00 +0000 UTC"},
      {"2016/3/4", "2016-03-04 00:00:00 +0000 UTC"},
      {"2016-07", "2016-07-01 00:00:00 +0000 UTC"},
      {"May 2015", "2015-05-01 00:00:00 +0000 UTC"},
      {"May 5", "2016-05-05 00:00:00 +0000 UTC"},
      {"10:30", "2016-03-14 10:30:00 +0000 UTC"},
      {"20160229T101112", "2016-02-29 10:11:12 +0000 UTC"},
      {"31 Feb 2016", "2016-03-02 00:00:00 +0000 UTC"},
      // Not times: left as they are
      {"hello", "hello"},
      {"07/16/2004", "07/16/2004"},
      {"25:00", "25:00"},
      {"monday", "monday"},
      {"-5", "-5"},
      {"99999999999999999999-99999999999999-1", "99999999999999999999-99999999999999-1"},
  };
  for (const auto& c : times) {
    CAPTURE(c.expression);
    CHECK(when(c.expression) == c.expected);
  }
  const Case formats[] = {
      {"%a %A %b %B %d %e %-d %j", "Mon Monday Mar March 14 14 14 074"},
      {"%H %I %l %k %M %S %L %N %3N %p %P", "11 11 11 11 15 05 250 250000000 250 AM am"},
      {"%y %C %Y %G %g %V %U %W %u %w", "16 20 2016 2016 16 11 11 11 1 1"},
      {"%s %n%t%%", "1457954105 \n\t%"},
      {"%D %F %T %R %r %c %x %X %v",
       "03/14/16 2016-03-14 11:15:05 11:15 11:15:05 AM Mon Mar 14 11:15:05 2016 03/14/16 11:15:05 "
       "14-MAR-2016"},
      {"%^a %^B %#p %10A %-m %_m %05d %3S", "MON MARCH am     Monday 3  3 00014 005"},
      {"%z %:z %::z %Z %+", "+0000 +00:00 +00:00:00 UTC Mon Mar 14 11:15:05 UTC 2016"},
      {"%Q %", "%Q %"},
      {"ü%Yü", "ü2016ü"},
  };
  for (const auto& c : formats) {
    CAPTURE(c.expression);
    CHECK(rendered("{{ 'now' | date: '" + std::string(c.expression) + "' }}", "{}", options) == c.expected);
  }
  CHECK(rendered("{{ 1152098955 | date: '%m/%d/%Y' }}") == "07/05/2006");
  CHECK(rendered("{{ -1 | date: '%F %T' }}") == "1969-12-31 23:59:59");
  CHECK(rendered("{{ -62198755200 | date: '%F %G-W%V %C' }}") == "-0001-01-01 -0002-W53 -1");
  CHECK(rendered("{{ 9223372036854775807 | date: '%Y' }}") == "292277026596");
  CHECK(rendered("{{ 'now' | date: nothing }}{{ 1.5 | date: '%Y' }}") == "now1.5");
  CHECK(rendered("{{ 1 | date: '%1001d' }}").starts_with("ERROR"));
}

}  // namespace
}  // namespace cx::liquid
