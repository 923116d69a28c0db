#pragma once

#include "providers/inference/remote/http.hpp"
#include "providers/inference/remote/remote.hpp"

namespace cx::inference::remote {

/// TensorFlow Serving's REST API, row format: each instance has "features" and "offers", and each prediction
/// is a list of as many scores as the instance has offers. Numbers are text there, so it is the slowest of
/// the protocols.
class TfServing final : public Protocol {
 public:
  /// `url` is http://host:port or https:, without a path; `ca_file` as for HttpSession.
  TfServing(const std::string& url, const std::string& model, const std::string& ca_file = {});

  std::string_view name() const override { return "tfserving"; }
  Result<std::vector<float>> infer(const Batch& batch, std::chrono::milliseconds timeout) override;
  std::optional<Error> ready(std::chrono::milliseconds timeout) override;

 private:
  const std::string model_url_;
  HttpSession session_;
};

}  // namespace cx::inference::remote
