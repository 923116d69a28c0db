#pragma once

#include <span>
#include <string>

#include "runtime/method.hpp"

namespace cx::openapi {

struct Info {
  std::string title = "Campaign Express";
  std::string version;  ///< of the node that serves the document
};

/// The OpenAPI 3.1 document of these methods, in JSON; the same bytes for the same contract. Methods without
/// a route are left out. Beyond the standard an operation has
///   x-permission   what its caller must be allowed to do, "campaign.approve"; "public" or "authenticated"
///   x-effect       "reads", "changes" or "destroys"
///   x-rate-cost    tokens that a call takes from the credential's bucket
/// and a field x-personal, where it tells who somebody is.
std::string document(std::span<const Method> methods, const Info& info);

}  // namespace cx::openapi
