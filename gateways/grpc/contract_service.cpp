#include "gateways/grpc/contract_service.hpp"

#include <grpcpp/impl/codegen/server_callback_handlers.h>

namespace cx::grpc_gateway {

ContractService::ContractService(std::span<const Method> methods, const Door& door, Metrics& metrics,
                                 Gate& gate)
    : name_(methods.front().descriptor->service()->full_name()) {
  for (const auto& method : methods) {
    auto& endpoint = endpoints_.emplace_back(Endpoint{method, "/" + name_ + "/" + method.descriptor->name(),
                                                      metrics.endpoint("grpc " + method.name), door});
    using grpc::internal::RpcServiceMethod;
    using Handler = grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>;
    AddMethod(new RpcServiceMethod(endpoint.path.c_str(), RpcServiceMethod::NORMAL_RPC, nullptr));
    MarkMethodRawCallback(method.descriptor->index(),
                          new Handler([&endpoint, &gate](auto* context, auto* request, auto* response) {
                            return Call::start(endpoint, gate, *context, *request, *response);
                          }));
  }
}

std::deque<ContractService> services_of(std::span<const Method> methods, const Door& door, Metrics& metrics,
                                        Gate& gate) {
  std::deque<ContractService> made;
  while (!methods.empty()) {
    const auto* service = methods.front().descriptor->service();
    const auto n = static_cast<std::size_t>(service->method_count());
    made.emplace_back(methods.first(n), door, metrics, gate);
    methods = methods.subspan(n);
  }
  return made;
}

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(grpc::GenericCallbackServerContext* context) {
  struct Refusal final : grpc::ServerGenericBidiReactor {
    void OnDone() override { delete this; }
  };
  Error error{Code::not_found, "unknown-method",
              "There is no method " + context->method().substr(0, 100) + "; this gateway serves " + known_ +
                  ", and its reflection lists their methods.",
              ""};
  auto* refusal = new Refusal;
  refusal->Finish(failed(*context, grpc::StatusCode::UNIMPLEMENTED, std::move(error)));
  return refusal;
}

}  // namespace cx::grpc_gateway
