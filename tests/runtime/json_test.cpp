#include "runtime/json.hpp"

#include <doctest/doctest.h>

namespace cx {

TEST_CASE("a JSON string keeps UTF-8 and replaces what is not") {
  std::string out;
  append_json(out, "é\\");
  append_json(out, "\xff\x01\"");
  CHECK(out == "\"é\\\\\"\"?\\u0001\\\"\"");
}

}  // namespace cx
