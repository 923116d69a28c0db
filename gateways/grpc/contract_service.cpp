#include "gateways/grpc/contract_service.hpp"

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>

#include "cx/v1/options.pb.h"
#include "messages/contract.hpp"

namespace cx::grpc_gateway {

using google::protobuf::MessageFactory;

ContractService::ContractService(const google::protobuf::ServiceDescriptor& service, const Services& services,
                                 Metrics& metrics, Gate& gate)
    : name_(service.full_name()) {
  for (int i = 0; i < service.method_count(); ++i) {
    const auto& descriptor = *service.method(i);
    auto& method = methods_.emplace_back();
    method.name = descriptor.full_name();
    method.path = "/" + name_ + "/" + descriptor.name();
    method.request = MessageFactory::generated_factory()->GetPrototype(descriptor.input_type());
    if (descriptor.options().HasExtension(v1::raw)) {
      const auto& raw = descriptor.options().GetExtension(v1::raw);
      method.raw = services.raw(raw.agent());
      method.content_type = raw.content_type();
    } else {
      method.unary = services.unary(method.name);
    }
    method.probe = &metrics.endpoint("grpc " + method.name);

    using grpc::internal::RpcServiceMethod;
    using Handler = grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>;
    AddMethod(new RpcServiceMethod(method.path.c_str(), RpcServiceMethod::NORMAL_RPC, nullptr));
    MarkMethodRawCallback(i, new Handler([&method, &gate](auto* context, auto* request, auto* response) {
                            return Call::start(method, gate, *context, *request, *response);
                          }));
  }
}

std::deque<ContractService> contract_services(const Services& services, Metrics& metrics, Gate& gate) {
  std::deque<ContractService> made;
  for_each_service([&](const auto& service) { made.emplace_back(service, services, metrics, gate); });
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
