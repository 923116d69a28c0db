#include "gateways/auth/access.hpp"

#include <spdlog/spdlog.h>

#include "gateways/auth/admin_key.hpp"
#include "gateways/auth/methods.hpp"
#include "runtime/address.hpp"

namespace cx::auth {
namespace {

constexpr unsigned kWorkThreads = 2, kNetworkThreads = 4;

DirectoryOptions options_of(const Access::Parts& parts) {
  DirectoryOptions options;
  options.tenant = parts.tenant;
  options.operating =
      parts.config.operating_tenant().empty() ? parts.tenant : parts.config.operating_tenant();
  options.key_rate = {parts.config.key_requests(), parts.config.key_window_seconds()};
  options.user_rate = {parts.config.user_requests(), parts.config.user_window_seconds()};
  return options;
}

}  // namespace

Result<std::unique_ptr<Access>> Access::open(Parts parts) {
  const auto& operating = parts.config.operating_tenant();
  if ((!operating.empty() && !is_name(operating)) || operating == kSystemTenant ||
      parts.tenant == kSystemTenant)
    return Error{Code::invalid_argument, "invalid-configuration",
                 "tenant and auth.operating_tenant are names, 1 to 63 of a-z, 0-9 and '-', and not 'system'.",
                 ""};
  constexpr std::int64_t kMinute = 60'000;
  const SigningKeys::Habits habits{parts.config.signing_key_days() * 24 * 60 * kMinute,
                                   parts.config.access_minutes() * kMinute};
  auto keys = SigningKeys::open(parts.data + "/keys", parts.clock, habits);
  if (!keys) return keys.error();
  auto shared = parts.in_cluster ? std::make_unique<SharedKeys>(parts.catalog, **keys, parts.clock,
                                                                habits.sign_ms + habits.token_ms + kLeeway)
                                 : nullptr;
  auto issuers = Issuers::open(parts.config, parts.clock, parts.fetch);
  if (!issuers) return issuers.error();
  const auto fetch = parts.fetch;
  std::unique_ptr<Access> access(new Access(std::move(parts), std::move(*keys), std::move(*issuers)));
  auto oidc = Oidc::open(access->shared_, access->network_, fetch);
  if (!oidc) return oidc.error();
  access->oidc_ = std::move(*oidc);
  access->shared_keys_ = std::move(shared);
  access->issuers_->start();
  return access;
}

Access::Access(Parts parts, std::unique_ptr<SigningKeys> signing_keys, std::unique_ptr<Issuers> issuers)
    : data_(parts.data),
      signing_keys_(std::move(signing_keys)),
      issuers_(std::move(issuers)),
      directory_(parts.catalog, directory_kinds(),
                 [this, options = options_of(parts)](const Definitions& all) -> Result<Directory> {
                   return compile_directory(all, options, buckets_);
                 }),
      shared_{parts.config, parts.tenant,  options_of(parts).operating,
              parts.clock,  parts.catalog, std::move(parts.ask),
              work_,        directory_,    *signing_keys_},
      authenticator_({directory_, *signing_keys_, *issuers_, buckets_, parts.clock,
                      options_of(parts).user_rate, parts.anonymous_bids ? parts.tenant : ""}),
      sessions_(shared_),
      local_(shared_, passwords_),
      work_(kWorkThreads),
      passwords_(parts.config.password_threads()),
      network_(parts.config.oidc().empty() ? 1 : kNetworkThreads) {}

Access::~Access() = default;

void Access::add_to(Services& services) {
  add_tokens(services, shared_, sessions_, local_, *oidc_);
  add_users(services, shared_, sessions_);
  add_roles(services, shared_);
  add_api_keys(services, shared_);
  add_tenants(services, shared_);
}

std::optional<std::vector<std::string>> Access::roles_of(const std::string& tenant,
                                                         const std::string& actor) const {
  constexpr std::string_view kUserActor = "user/", kKeyActor = "key/";
  const auto directory = directory_.get();
  if (actor.starts_with(kUserActor)) {
    const auto* user = directory->user(tenant, std::string_view(actor).substr(kUserActor.size()));
    return user == nullptr || !user->live ? std::nullopt : std::optional(user->roles);
  }
  const auto* key = actor.starts_with(kKeyActor)
                        ? directory->key(std::string_view(actor).substr(kKeyActor.size()))
                        : nullptr;
  if (key == nullptr || !key->live || key->caller->tenant != tenant) return std::nullopt;
  return key->caller->roles;
}

std::optional<Error> Access::bootstrap() {
  return auth::bootstrap(shared_, data_);
}

void Access::tick() {
  shared_.run([this] {
    if (const auto error = signing_keys_->tick())
      spdlog::error("the signing key was not changed: {}", error->detail);
    if (shared_keys_) shared_keys_->tick();
  });
}

}  // namespace cx::auth
