#pragma once

#include "providers/inference/remote/http.hpp"
#include "providers/inference/remote/remote.hpp"

namespace cx::inference::remote {

/// The Open Inference Protocol (KServe v2) over HTTP, tensors by its binary data extension: a JSON header
/// whose length is in Inference-Header-Content-Length, then features and offers as they lie in memory. The
/// answer comes the same way.
class KserveHttp final : public Protocol {
 public:
  /// `url` is http://host:port or https:, without a path; `ca_file` as for HttpSession.
  KserveHttp(const std::string& url, const std::string& model, const std::string& ca_file = {});

  std::string_view name() const override { return "kserve-http"; }
  Result<std::vector<float>> infer(const Batch& batch, std::chrono::milliseconds timeout) override;
  std::optional<Error> ready(std::chrono::milliseconds timeout) override;

 private:
  const std::string model_url_;
  HttpSession session_;
};

}  // namespace cx::inference::remote
