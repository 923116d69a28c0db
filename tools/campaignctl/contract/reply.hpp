#pragma once

#include <boost/json.hpp>

#include "runtime/method.hpp"
#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// The field of a page that holds its lines; null where the reply is no page.
const google::protobuf::FieldDescriptor* list_field(const google::protobuf::Descriptor& reply);
inline bool is_list(const google::protobuf::Descriptor& reply) {
  return list_field(reply) != nullptr;
}

/// The columns that a message makes: those of messages in it flattened, what tells it from others first; all
/// but the eight that say most are for -o wide.
std::vector<Column> columns_of(const google::protobuf::Descriptor& type);

/// The name of a resource among its kind: its id, else its name; empty where it has none.
std::string name_of(const google::protobuf::Descriptor& type, const boost::json::object& resource);

/// A reply of a method in all shapes but `document`, which stays to be set: lines for a page, else one
/// resource with its details. Fields that this build does not know are in json, jsonl and yaml.
Report report_on(const Method& method, const Call& call, const boost::json::object& reply);

/// The same of a list of resources, without notes.
Report report_on_list(const google::protobuf::Descriptor& type, const boost::json::array& list);

}  // namespace cx::ctl
