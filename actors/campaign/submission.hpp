#pragma once

#include "runtime/catalog/catalog.hpp"
#include "runtime/environment/executor.hpp"
#include "runtime/services.hpp"

namespace cx {

/// Makes a kind of documents, "approval-rule".
void define_approval_rules(Catalog& catalog);

/// Has each submission that `services` serves already carry the approval rules that its tenant has stored by
/// now, or else the seeded ones; they are read on a thread of `executor`. Both outlive the services.
void add_rules_to_submissions(Services& services, const Catalog& catalog, Executor& executor);

}  // namespace cx
