#pragma once

#include <cstdint>
#include <optional>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

namespace cx::auth {

/// A JSON object that somebody else wrote, to be asked for what is in it. One thread at a time. What is not
/// there, or is of another type, is absent.
class JsonObject {
 public:
  /// Nothing for what is not an object, or is nested deeper than 16.
  static std::optional<JsonObject> parse(std::string_view text);

  std::optional<std::string> text(std::string_view name) const;
  /// A list of texts, or a single text as a list of one. Empty when there is none.
  std::vector<std::string> texts(std::string_view name) const;
  /// A time in seconds since 1970 (RFC 7519's NumericDate) as milliseconds.
  std::optional<std::int64_t> time(std::string_view name) const;
  bool has(std::string_view name) const { return !find(name).error(); }
  /// Objects of a list.
  std::vector<JsonObject> objects(std::string_view name) const;

 private:
  JsonObject() = default;
  /// By name, or, since there is no such field, by the names between dots: "realm_access.roles".
  simdjson::simdjson_result<simdjson::dom::element> find(std::string_view name) const;

  std::shared_ptr<simdjson::dom::parser> parser_;
  simdjson::dom::object object_;
};

}  // namespace cx::auth
