#pragma once

#include "providers/inference/remote/remote.hpp"

namespace cx::inference::remote {

/// The Open Inference Protocol (KServe v2) over gRPC, tensors as raw contents.
class KserveGrpc final : public Protocol {
 public:
  /// `url` is http://host:port, or https:// for TLS, with the authorities of `ca_file` (PEM; empty: the
  /// system's).
  KserveGrpc(const std::string& url, std::string model, const std::string& ca_file = {});
  ~KserveGrpc() override;

  std::string_view name() const override { return "kserve-grpc"; }
  Result<std::vector<float>> infer(const Batch& batch, std::chrono::milliseconds timeout) override;
  std::optional<Error> ready(std::chrono::milliseconds timeout) override;

 private:
  struct Stub;
  const std::string model_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace cx::inference::remote
