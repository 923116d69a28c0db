#pragma once

#include "cx/v1/config.pb.h"
#include "providers/inference/remote/fallback.hpp"
#include "providers/inference/supervisor.hpp"

namespace cx::inference::remote {

/// Whether another than this machine's CPU is to score.
bool is_remote(const v1::InferenceConfig& config);

/// Which field of a configuration stands in the way of its backend ("invalid-configuration").
std::optional<Error> check_backend(const v1::InferenceConfig& config);

/// What makes the providers of the configured backend: `fallback` itself where nothing is_remote(),
/// else providers that ask the server and fall back to those of `fallback`. Errors as of check_backend. The
/// references must outlive the providers.
Result<ProviderFactory> make_backend(const v1::InferenceConfig& config, ProviderFactory fallback,
                                     const Clock& clock, RemoteProbe& probe);

/// Registers what is counted of a remote backend; the probe lives as long.
void add_metrics(Metrics& metrics, const RemoteProbe& probe);

}  // namespace cx::inference::remote
