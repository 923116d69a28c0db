#pragma once

#include <cstdint>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <span>
#include <string>
#include <vector>

#include "cx/v1/options.pb.h"
#include "runtime/services.hpp"

namespace cx {

/// A method of the contract: what its options say, and what serves it here. From nothing else are the
/// endpoints of every gateway, the permissions, the audit log and the documentation made.
struct Method {
  enum class Access { everybody, authenticated, permitted };

  const google::protobuf::MethodDescriptor* descriptor = nullptr;  ///< of the generated pool
  std::string name;                                                ///< "cx.v1.Campaigns.Approve"
  const google::protobuf::Message* request = nullptr;              ///< prototype
  const google::protobuf::Message* reply = nullptr;                ///< prototype

  std::string verb;  ///< "POST"; empty where there is no route
  std::string path;  ///< "/v1/campaigns/{campaign_id}:approve"
  std::string body;  ///< "*", a field, or empty

  Access access = Access::permitted;
  std::size_t permission = 0;  ///< its number, with `permitted`
  v1::Effect effect = v1::EFFECT_READS;
  std::string audit;   ///< template of the audited resource; empty when it is not audited
  std::string target;  ///< template of an entity's address; empty when it is not an entity's
  std::uint32_t cost = 1;
  const google::protobuf::FieldDescriptor* if_match = nullptr;  ///< of the request; null when it has none
  const google::protobuf::FieldDescriptor* etag = nullptr;      ///< of the reply; null when it has none

  bool is_raw = false;
  std::string content_type = "application/json";  ///< of request and reply; of a raw method its own
  /// Member of a raw body that may hold the caller's API key; empty where none may. Then it stands in pages
  /// of everybody's, and a body may say text/plain, as theirs do.
  std::string body_credential;
  RawTarget* raw = nullptr;                ///< at most one of these two; neither where this node does
  const Services::Unary* unary = nullptr;  ///< not serve it
};

using ServiceDescriptors = std::vector<const google::protobuf::ServiceDescriptor*>;
/// Every service of the contract.
ServiceDescriptors contract_services();

/// The methods of `services` with what serves them in `table`, which outlives them. Throws std::logic_error
/// where options contradict each other, name a field that the request lacks, or no permission.
std::vector<Method> methods_of(const ServiceDescriptors& services, const Services& table);

/// `pattern` with each "{field}" replaced by that field of `request` ("a.b" reaches into messages) and
/// "{tenant}" by `tenant`. Where `error` names an empty field it is invalid_argument.
Result<std::string> expand(std::string_view pattern, const google::protobuf::Message& request,
                           std::string_view tenant);

/// The text of a scalar field of `message` by its path "a.b"; empty when it is not set. Throws
/// std::logic_error for what is no such field.
std::string field_text(const google::protobuf::Message& message, std::string_view path);

}  // namespace cx
