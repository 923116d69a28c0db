#pragma once

#include <functional>
#include <google/protobuf/message.h>
#include <map>
#include <memory>
#include <string>

#include "runtime/error.hpp"
#include "runtime/raw.hpp"

namespace cx {

/// What stands behind the methods of the contract on this node. Filled before the gateways start, read-only
/// after.
class Services {
 public:
  using Message = google::protobuf::Message;
  /// Answers a request of the method's input type with a message of its output type. Called on a gateway's
  /// I/O thread: must not block.
  using Unary = std::function<Result<std::unique_ptr<Message>>(const Message& request)>;

  /// `method`: full name, e.g. "cx.v1.Operations.Topology".
  void add(std::string method, Unary handler) { unary_[std::move(method)] = std::move(handler); }
  /// `agent`: the name in the method's `raw` option. `target` must outlive this object.
  void add(std::string agent, RawTarget* target) { raw_[std::move(agent)] = target; }

  const Unary* unary(const std::string& method) const {
    const auto found = unary_.find(method);
    return found == unary_.end() ? nullptr : &found->second;
  }
  RawTarget* raw(const std::string& agent) const {
    const auto found = raw_.find(agent);
    return found == raw_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string, Unary> unary_;
  std::map<std::string, RawTarget*> raw_;
};

}  // namespace cx
