#pragma once

#include <simdjson.h>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

/// Below the schema: what is wrong with bytes that are not JSON, and numbers that are but do not fit.
namespace cx::openrtb {

/// Why simdjson refused `body`, as an answer to its sender.
Error explain(simdjson::error_code code, std::string_view body);

/// RFC 8259 sets numbers no limits, simdjson does (64-bit integers, finite doubles) and refuses the whole
/// document. Replaces such numbers by 1e99 or -1e99, padded to the same length: whoever reads one sees a huge
/// value, too. `json` needs simdjson's padding behind its end. Costs some 200 ns per number of five
/// characters or more.
void tame_numbers(std::string& json, simdjson::dom::parser& parser);

}  // namespace cx::openrtb
