#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/runtime/liquid/rendered.hpp"

namespace cx::liquid {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// $CX_SHARED, or the first folder "shared" beside the source tree or one of the folders around it.
fs::path shared_folder() {
  if (const char* set = std::getenv("CX_SHARED")) return set;  // NOLINT(concurrency-mt-unsafe)
  for (fs::path at = CX_SOURCE_DIR; at != at.root_path(); at = at.parent_path())
    if (fs::exists(at.parent_path() / "shared" / "conformance")) return at.parent_path() / "shared";
  return {};
}

std::string_view text_of(const json::value& value) {
  return value.get_string();
}

/// What is wrong with a case of golden-liquid; empty: nothing.
std::string difference(const json::object& test) {
  Partials partials;
  if (const auto* templates = test.if_contains("templates"))
    for (const auto& [name, source] : templates->get_object())
      if (auto partial = Template::compile(text_of(source))) partials.emplace(name, std::move(*partial));
  Options options;
  options.partials = &partials;
  const auto compiled = Template::compile(text_of(test.at("template")));
  const auto* data = test.if_contains("data");
  const json::object nothing;
  const auto result = compiled ? compiled->render(data ? data->get_object() : nothing, options)
                               : Result<std::string>(compiled.error());
  if (test.contains("invalid")) return result ? "not refused, but: " + *result : std::string();
  if (!result) return "refused: " + result.error().detail;
  const auto* many = test.if_contains("results");
  const json::array expected = many ? many->get_array() : json::array{test.at("result")};
  const bool right =
      std::any_of(expected.begin(), expected.end(), [&](const auto& one) { return text_of(one) == *result; });
  return right ? ""
               : "got " + json::serialize(json::string_view(*result)) + ", not " + json::serialize(expected);
}

TEST_CASE("the cases of golden-liquid") {
  const fs::path file = shared_folder() / "conformance" / "liquid" / "golden_half.json";
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    MESSAGE("SKIPPED: no conformance data; set CX_SHARED to the folder that holds conformance/liquid");
    return;
  }
  const auto suite = json::parse(std::string{std::istreambuf_iterator<char>(stream), {}});
  std::size_t passed = 0;
  const auto& tests = suite.at("tests").get_array();
  for (const auto& test : tests) {
    CAPTURE(text_of(test.at("name")));
    CAPTURE(text_of(test.at("template")));
    const auto wrong = difference(test.get_object());
    CHECK(wrong == "");
    if (wrong.empty()) ++passed;
  }
  MESSAGE("liquid conformance: ", passed, " of ", tests.size());
}

}  // namespace
}  // namespace cx::liquid
