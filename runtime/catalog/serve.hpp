#pragma once

#include "runtime/catalog/catalog.hpp"
#include "runtime/environment/executor.hpp"
#include "runtime/method.hpp"

namespace cx {

/// Serves every method of `services` that works on documents of the catalog (option `document`), by the names
/// of fields:
/// - a document's body is a message with a field `id` and, as far as it has
///   them, `etag`, `revision`, `updated_at`, `updated_by` and `removed`, which are filled in when it is shown
///   and are not stored;
/// - fields of a body that the contract marks `input_only` are stored and never shown; a PUT that leaves one
/// out
///   keeps what it was;
/// - a request may have one that the contract marks `if_match` (empty: whatever the document is), `page_size`
///   and `page_token`; a page is a message with one list of bodies and `next_page_token`.
/// `executor` runs what blocks. All outlive the table.
void serve_documents(const ServiceDescriptors& services, Catalog& catalog, Executor& executor,
                     Services& table);

}  // namespace cx
