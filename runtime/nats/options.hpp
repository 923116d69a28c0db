#pragma once

#include <memory>
#include <nats/nats.h>
#include <string>

#include "cx/v1/config.pb.h"
#include "runtime/error.hpp"

namespace cx::nats {

struct FreeOptions {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};
using Options = std::unique_ptr<natsOptions, FreeOptions>;

/// The library's options for a connection as configured: servers, credentials, TLS, and to reconnect for
/// ever. Errors: "invalid-config", which names the field and never quotes a secret.
Result<Options> make_options(const v1::NatsConfig& config, const std::string& name);

}  // namespace cx::nats
