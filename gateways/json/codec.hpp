#pragma once

#include <google/protobuf/message.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

/// JSON and text into messages of the contract and back: the ProtoJSON mapping, strict on what comes in.
/// Works on every message whose descriptor lives as long as the process. All functions are thread-safe on
/// distinct messages.
///
/// Errors are invalid_argument (out-of-memory: overloaded). Their types:
///   malformed-json   not JSON, not UTF-8, or more than one value
///   too-deep         nested deeper than kMaxDepth
///   unknown-field    no such field or parameter; `internal` fields count as unknown
///   duplicate-field  a field or a map's key twice; two spellings of one field are twice
///   oneof-conflict   two fields of which only one may be set
///   wrong-type       another JSON type than the field has
///   out-of-range     a number, time or duration that the field cannot hold
///   invalid-value    of the right type, but not an enum's name, a time, base64, ...
///   unknown-type     an Any of a type that the contract does not have
///   too-many-items   more elements than `max_items`
/// `pointer` is the RFC 6901 pointer to the culprit, with names spelt as the caller spelt them (names over
/// 100 bytes are cut). A value is quoted in `detail` unless its field is `secret` or `pii`.
namespace cx::json {

using google::protobuf::Message;

/// Objects and arrays inside one another.
inline constexpr int kMaxDepth = 64;

struct ParseOptions {
  /// Receives, for PATCH, the field-mask paths (names of the .proto, joined by '.') that the document
  /// mentions: of everything that is not a message's object, and of {}. Null counts as mentioned,
  /// `output_only` fields do not. Lists, maps, and well-known types are leaves.
  std::vector<std::string>* present = nullptr;
};

/// Clears `into` and reads the document into it; the empty document is {}. Accepts fields by the name of the
/// .proto or in lowerCamelCase, null for absent, 64-bit integers as strings or numbers, enums by name, by
/// name without the prefix that all of them share, in any case ("draft" for CAMPAIGN_STAGE_DRAFT), or by a
/// known number, bytes in base64 of either alphabet, and Any of every type of the generated pool. Fields that
/// are `output_only` must be well-formed and are ignored. After an error `into` holds what was read before.
///
/// Stricter than the ProtoJSON mapping asks: text after the value, null in lists and maps, an unknown number
/// of an enum, strings for booleans, integers from 2^53 on with a fraction or an exponent, numbers with
/// leading zeros, '+' or spaces in strings, base64 with stray bits or partial padding are refused.
std::optional<Error> parse(std::string_view json, Message& into, const ParseOptions& options = {});

/// Sets the field at `path` ("a.b.c", either spelling) from the text of a path or query parameter,
/// percent-decoded already: scalars, enums, Timestamp, Duration, FieldMask and wrappers; a list gets one more
/// element, of everything else the last text wins. The messages on the way are created. `output_only` fields
/// are ignored. The error's pointer is "/a/b/c".
std::optional<Error> set_field(Message& message, std::string_view path, std::string_view text);

struct PrintOptions {
  /// Shows what is in `secret` and `pii` fields as "***".
  bool mask = false;
};

/// Appends `message` as one line of JSON: names of the .proto, enums by name (an unknown one by number),
/// 64-bit integers as strings, lists, maps (by ascending key) and scalars without presence even when they are
/// empty or zero, everything else only if it is set. Never `internal` fields. Times and durations out of
/// their range are null; an Any that cannot be read, or is nested too deep, keeps its bytes: {"@type": ...,
/// "value": base64}.
void print(const Message& message, std::string& out, const PrintOptions& options = {});
std::string print(const Message& message, const PrintOptions& options = {});

}  // namespace cx::json
