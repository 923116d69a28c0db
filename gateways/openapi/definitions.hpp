#pragma once

#include <span>
#include <vector>

#include "gateways/openapi/docs.hpp"
#include "runtime/method.hpp"

namespace cx::openapi {

/// For each kind of documents of the catalog that some method stores, the JSON Schema (2020-12) of what it
/// takes, as /schemas/KIND.json: for editors, and for whoever checks files of definitions before they are
/// sent. It stands for itself, and knows no fields but those that there are. What the schema cannot say, such
/// as that two fields exclude each other, the method says.
std::vector<Document> definitions(std::span<const Method> methods);

}  // namespace cx::openapi
