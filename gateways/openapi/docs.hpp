#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateways/openapi/openapi.hpp"

namespace cx::openapi {

/// Something to be served as it is, to everybody.
struct Document {
  std::string path;  ///< "/docs"
  std::string content_type;
  std::string body;
  std::string security_policy;  ///< for the Content-Security-Policy field; empty where it makes no difference
};

/// Whether the build could get the page's viewer (Swagger UI) by npm.
bool has_viewer();

/// /openapi.json, the schemas of definitions (definitions.hpp), and /docs with the files that it needs: the
/// API's documentation, which asks nothing of any other host. Without the viewer the page lists the endpoints
/// and says how to get it.
std::vector<Document> documents(std::span<const Method> methods, const Info& info);

}  // namespace cx::openapi
