#pragma once

#include <google/protobuf/message.h>
#include <optional>
#include <string>
#include <string_view>

#include "gateways/json/plan.hpp"
#include "runtime/error.hpp"

/// Single values into fields; how the reader of JSON and that of parameters do it.
namespace cx::json {

/// Where in a document: a chain of frames on the stack, from the innermost. Costs nothing until it is asked
/// for.
struct Where {
  const Where* holder = nullptr;  ///< null: this is the document
  std::string_view name;          ///< in an object; null in a list
  std::size_t index = 0;          ///< in a list

  /// As an RFC 6901 pointer.
  std::string pointer() const;
};

/// A value as it was written.
struct Scalar {
  enum class Kind {
    string,
    number,     ///< the token
    boolean,    ///< "true" or "false"
    parameter,  ///< text that may be any of them
  };
  Kind kind = Kind::string;
  std::string_view text;  ///< UTF-8
};

/// What is wrong with a value: the problem's type, and words that follow the name of its place.
struct Wrong {
  std::string type;
  std::string words;
};

/// "must be a whole number ..., but is a list."
Wrong wrong_type(const FieldPlan& field, std::string_view found);
std::string_view name_of(Scalar::Kind kind);

/// Sets a field that is not a message; adds to a repeated one.
std::optional<Wrong> store(google::protobuf::Message& message, const FieldPlan& field, const Scalar& value);

/// Sets a timestamp, duration or field mask (not other shapes), which `field` holds or is about.
std::optional<Wrong> store_text(google::protobuf::Message& into, const Plan& type, const Scalar& value,
                                bool masked);

/// What a message field of this type takes: "an object".
std::string expected(const Plan& type);

}  // namespace cx::json
