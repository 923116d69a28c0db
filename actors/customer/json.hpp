#pragma once

#include <functional>
#include <google/protobuf/struct.pb.h>
#include <string>
#include <string_view>

// JSON texts as commands and states have them. A text that is not JSON leads to nothing, never to a crash.

namespace cx {

/// Gives the members of an object, each with its value as compact JSON, in order; false when `json` is no
/// object.
bool members_of(std::string_view json,
                const std::function<void(std::string_view name, std::string value)>& visit);

/// The text that `json` is; empty for anything else.
std::string text_of_json(std::string_view json);

/// A member that is a text, by the names that lead to it: "context.timezone" is {"timezone"} of the context.
std::string text_member(std::string_view json, std::string_view name);

/// `json` as Protobuf has it; false, and null, when it is not JSON. Numbers become doubles.
bool to_value(std::string_view json, google::protobuf::Value& out);
bool to_struct(std::string_view json, google::protobuf::Struct& out);

/// Appends an object as compact JSON, members by name. What JSON has no number for becomes null.
void append_json(std::string& out, const google::protobuf::Struct& object);

}  // namespace cx
