#include "gateways/auth/admin_key.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "gateways/auth/api_key.hpp"
#include "gateways/auth/files.hpp"

namespace cx::auth {
namespace {

struct Prepared {
  NewKey made;
  v1::ApiKeyDocument document;
};

Prepared prepare(const Shared& shared, const std::string& actor) {
  Prepared out{make_key(), {}};
  out.document.set_name("administrator");
  out.document.add_roles("admin");
  out.document.set_secret_sha256(text_of(sha256(out.made.secret)));
  *out.document.mutable_created_at() = timestamp(shared.clock.unix_ms());
  out.document.set_created_by(actor);
  return out;
}

}  // namespace

Result<AdminKey> make_admin_key(const Shared& shared, const std::string& tenant, const std::string& actor) {
  const auto [made, document] = prepare(shared, actor);
  const auto stored = shared.catalog.put({kApiKey, tenant, made.id}, document, "", actor);
  if (!stored) return stored.error();
  AdminKey out{{}, stored->change()};
  *out.key.mutable_api_key() = api_key_of(*stored, document);
  out.key.set_secret(made.text());
  return out;
}

std::optional<Error> bootstrap(const Shared& shared, const std::string& data) {
  const std::string actor = "system";
  for (const auto& tenant : {shared.tenant, shared.operating}) {
    const DocumentKey key{kTenant, kSystemTenant, tenant};
    const auto found = shared.catalog.get(key);
    if (found) continue;
    if (found.error().code != Code::not_found) return found.error();
    v1::TenantDocument document;
    *document.mutable_created_at() = timestamp(shared.clock.unix_ms());
    const auto stored = shared.catalog.put(key, document, "", actor);
    if (!stored && stored.error().code == Code::conflict)
      continue;  // another node of the cluster was quicker
    if (!stored) return stored.error();
    shared.settle(stored->change());
  }
  const auto keys = shared.catalog.list(kApiKey, shared.tenant, "", 1);
  if (!keys) return keys.error();
  if (!keys->empty()) return std::nullopt;

  // The file first: a key that nobody has would keep the next start from making one. What a start that
  // failed in between left behind is of no key, and gives way.
  const auto path = data + "/admin.key";
  const auto [made, document] = prepare(shared, actor);
  auto error = write_secret(path, made.text() + "\n");
  if (error && error->code == Code::conflict) {
    ::unlink(path.c_str());
    error = write_secret(path, made.text() + "\n");
  }
  if (error) return error;
  const auto stored = shared.catalog.put({kApiKey, shared.tenant, made.id}, document, "", actor);
  if (!stored) return stored.error();
  shared.settle(stored->change());
  spdlog::info("an administrator's API key of tenant {} is in {}: use it, keep it safe, remove the file",
               shared.tenant, path);
  return std::nullopt;
}

}  // namespace cx::auth
