#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/actors/bidding/openrtb/parsed.hpp"

namespace cx::openrtb {
namespace {

namespace fs = std::filesystem;

/// $CX_SHARED, or the first folder "shared" beside the source tree or one of the folders around it.
fs::path shared_folder() {
  if (const char* set = std::getenv("CX_SHARED")) return set;  // NOLINT(concurrency-mt-unsafe)
  for (fs::path at = CX_SOURCE_DIR; at != at.root_path(); at = at.parent_path()) {
    if (fs::exists(at.parent_path() / "shared" / "conformance")) return at.parent_path() / "shared";
  }
  return {};
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file, path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// INDEX.tsv: file, expectation and more, under a line of headings.
TEST_CASE("requests that others wrote") {
  const fs::path folder = shared_folder() / "conformance" / "openrtb";
  if (!fs::exists(folder / "INDEX.tsv")) {
    MESSAGE("SKIPPED: no conformance data; set CX_SHARED to the folder that holds conformance/openrtb");
    return;
  }
  std::istringstream index(content(folder / "INDEX.tsv"));
  std::string line;
  std::getline(index, line);
  int cases = 0;
  while (std::getline(index, line)) {
    std::istringstream row(line);
    std::string file, expected;
    std::getline(row, file, '\t');
    std::getline(row, expected, '\t');
    CAPTURE(file);
    const Parsed parsed(content(folder / file));
    if (expected == "strict") CHECK_MESSAGE(!parsed.error, parsed.error->detail);
    if (expected == "reject") CHECK(parsed.error);
    ++cases;
  }
  CHECK(cases > 0);
}

}  // namespace
}  // namespace cx::openrtb
