#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/method.hpp"
#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// Methods that a command written by hand reaches, by full name, and the command.
const std::map<std::string, std::string>& reached_by_hand();

/// The command that reaches a method: one written by hand, or NOUN VERB; empty where its service has no noun.
std::string command_for(const google::protobuf::MethodDescriptor& method);

/// A method of the contract by its full name, which must be in it.
const Method& method_named(const std::string& name);

/// An example of a value for a field, from its comment where that quotes one: "spring-sale", "user/ana",
/// "10".
std::string sample(const google::protobuf::FieldDescriptor& field);

}  // namespace cx::ctl
