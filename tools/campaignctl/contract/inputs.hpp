#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/method.hpp"
#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// A field of a request that a flag sets.
struct Input {
  enum class Kind { value, map, money, secret, object };

  Flag flag;
  std::vector<const google::protobuf::FieldDescriptor*> path;  ///< from the request message
  Kind kind = Kind::value;
  bool ahead = false;  ///< of a time: a span without a sign is from now
};

/// The names in braces of a route: "campaign_id" of "/v1/campaigns/{campaign_id}:approve".
std::vector<std::string> variables_of(std::string_view path);
/// What its argument is called: "CAMPAIGN-ID".
std::string argument_name(std::string_view variable);

/// The flags of a method's request: every field that callers may set and that neither the path nor a flag of
/// all methods (--limit, --cursor, --if-match) carries. "budget.micros" is --budget.micros; fields of the
/// route's body, and of a required message where the body is the whole request, go without its name. Their
/// help is not set.
std::vector<Input> inputs_of(const Method& method);
/// The help of an input's flag: the field's comment and what else can be known of its values, on one line.
std::string meaning(const Input& input);

/// Sets in `document`, the request as JSON, what the flag of `input` was given as.
Outcome<void> apply(const Input& input, const std::vector<std::string>& values,
                    boost::json::object& document);

/// A usage failure for a required field that `document` lacks, naming its flag.
Outcome<void> check_required(const Method& method, const std::vector<Input>& inputs,
                             const boost::json::object& document);

/// 1500000000 micros and "USD" for "1500.00USD", "1500 USD".
Outcome<std::pair<std::int64_t, std::string>> parse_money(const std::string& what, const std::string& text);

/// The member of a field, by its name in the .proto or in lowerCamelCase; null where there is none.
const boost::json::value* member(const boost::json::object& object,
                                 const google::protobuf::FieldDescriptor& field);

}  // namespace cx::ctl
