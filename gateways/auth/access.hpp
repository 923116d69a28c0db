#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateways/auth/authenticator.hpp"
#include "gateways/auth/oidc.hpp"
#include "gateways/auth/shared_keys.hpp"
#include "gateways/auth/sign_in.hpp"

namespace cx::auth {

/// Who may do what, all of it: tells callers, signs users in, and serves the services of cx/v1/access.proto.
class Access {
 public:
  struct Parts {
    v1::AuthConfig config;
    std::string tenant;           ///< the node's own
    std::string data;             ///< directory; keys that sign tokens go to data/keys
    bool anonymous_bids = false;  ///< in the node's own tenant
    const Clock& clock;
    Catalog& catalog;  ///< with define_access_documents()
    Ask ask;
    Fetch fetch = fetch_by_curl;
    bool in_cluster = false;  ///< nodes take each other's tokens
  };
  /// Blocks. What is referred to outlives this, and `ask` answers nothing any more when this is destroyed.
  /// Errors name what is wrong in the configuration or in the data
  /// directory.
  static Result<std::unique_ptr<Access>> open(Parts parts);
  ~Access();

  const Authenticator& authenticator() const { return authenticator_; }
  /// Registers every method of Tokens, Users, Roles, ApiKeys and Tenants.
  void add_to(Services& services);
  /// The body of GET /.well-known/jwks.json, application/jwk-set+json: what others verify our tokens by.
  std::string jwks() const { return signing_keys_->ring()->jwks; }
  /// The roles of "user/ana", say, now; nothing for whom the tenant does not have. Never blocks.
  std::optional<std::vector<std::string>> roles_of(const std::string& tenant, const std::string& actor) const;

  /// At the first start of a node nobody could come in: makes an administrator's key for its tenant and
  /// writes it to data/admin.key (mode 0600), unless the tenant ever had a key. Blocks.
  std::optional<Error> bootstrap();
  /// Changes the key that signs tokens when it is time; to be called now and then. Never blocks.
  void tick();

 private:
  Access(Parts parts, std::unique_ptr<SigningKeys> signing_keys, std::unique_ptr<Issuers> issuers);

  const std::string data_;
  Buckets buckets_;
  std::unique_ptr<SigningKeys> signing_keys_;
  std::unique_ptr<SharedKeys> shared_keys_;  // null without a cluster
  std::unique_ptr<Issuers> issuers_;
  Compiled<Directory> directory_;
  Shared shared_;
  CredentialAuthenticator authenticator_;
  Sessions sessions_;
  LocalPasswords local_;
  std::unique_ptr<Oidc> oidc_;
  // Last, in this order: tasks of the later ones post to the one before, and all use the rest.
  ThreadPool work_, passwords_, network_;
};

}  // namespace cx::auth
