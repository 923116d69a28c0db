#pragma once  // internal: includes gRPC

#include <deque>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/impl/service_type.h>
#include <span>
#include <string>

#include "gateways/grpc/call.hpp"

namespace cx::grpc_gateway {

/// A service of the contract as gRPC knows it: what protoc would generate, made from the descriptor, so that
/// there is no code per method. Its arguments must outlive it.
class ContractService final : public grpc::Service {
 public:
  /// `methods`: all of one service, in the order of the contract.
  ContractService(std::span<const Method> methods, const Door& door, Metrics& metrics, Gate& gate);

  /// "cx.v1.Bidding"
  const std::string& name() const { return name_; }

 private:
  const std::string name_;
  std::deque<Endpoint> endpoints_;  // gRPC keeps their addresses
};

/// One for each service that `methods` are of.
std::deque<ContractService> services_of(std::span<const Method> methods, const Door& door, Metrics& metrics,
                                        Gate& gate);

/// Answers a call of any other method.
class UnknownMethods final : public grpc::CallbackGenericService {
 public:
  /// `known`: the services that there are, for the message.
  explicit UnknownMethods(std::string known) : known_(std::move(known)) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

 private:
  const std::string known_;
};

}  // namespace cx::grpc_gateway
