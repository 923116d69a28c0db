#include <boost/json/parse.hpp>
#include <chrono>
#include <doctest/doctest.h>
#include <string>

#include "runtime/liquid/template.hpp"

namespace cx::liquid {
namespace {

std::string mail() {
  std::string text =
      R"(<html><head><title>{{ shop.name }}: {{ subject | default: "Your order" }}</title></head><body>
<h1>Hello {{ customer.first_name | capitalize }}!</h1>
{% if customer.vip %}<p>As a {{ customer.tier }} member you earned {{ order.stars }} stars.</p>{% endif %}
<table>{% for item in order.items %}
  <tr><td>{{ forloop.index }}</td><td>{{ item.name }}</td><td>{{ item.price | times: item.count | round: 2 }}</td></tr>
{% endfor %}</table>
<p>Total: {{ order.total }} {{ order.currency }}, ordered {{ order.at | date: "%d %B %Y" }}.</p>
<p>{{ shop.address }}, {{ shop.city }}</p>
)";
  while (text.size() < 2000) text += "<p>Something that is the same for everybody and takes some room.</p>\n";
  return text + "</body></html>";
}

// Figures, not a test: `runtime.liquid -ns -tc=bench*`.
TEST_CASE("bench: a typical mail" * doctest::skip()) {
  const auto data =
      boost::json::parse(R"({"shop": {"name": "Tea & Co", "address": "1 Main St", "city": "Jakarta"},
    "customer": {"first_name": "ada", "vip": true, "tier": "Gold"},
    "order": {"stars": 12, "total": 73.5, "currency": "USD", "at": 1457954105, "items": [
      {"name": "Tea", "price": 4.5, "count": 2}, {"name": "Cup", "price": 12.25, "count": 1}, {"name": "Pot", "price": 30, "count": 1},
      {"name": "Mug", "price": 7, "count": 2}, {"name": "Jar", "price": 8.25, "count": 1}]}})")
          .as_object();
  const auto time = [](const char* what, int times, const auto& work) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) work();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    MESSAGE(std::string(what), ": ", took.count() / times, " us");
  };
  const auto source = mail();
  const auto compiled = Template::compile(source);
  REQUIRE(compiled);
  Options html;
  html.html = true;
  std::size_t bytes = 0;
  time("compile", 5000, [&] { bytes += static_cast<bool>(Template::compile(source)); });
  time("render", 20000, [&] { bytes += compiled->render(data, html)->size(); });
  const auto decimals = Template::compile(
      "{% for i in (1..20000) %}{{ 1.1 | times: 1.7 | divided_by: 1.3 | round: 2 }}{% endfor %}");
  time("60,000 decimal operations, the most", 1, [&] { bytes += static_cast<bool>(decimals->render(data)); });
  CHECK(bytes > 0);
}

}  // namespace
}  // namespace cx::liquid
