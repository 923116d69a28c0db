#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gateways/auth/fetch.hpp"
#include "gateways/auth/sign_in.hpp"

namespace cx::auth {

/// Sign-in with OpenID Connect providers (Core 1.0): authorization code with PKCE (RFC 7636). Between start
/// and finish nothing is kept here: what has to be known again, nonce and verifier among it, is sealed into
/// the state under a key that this process made up, and is good for ten minutes. A state is good once: those
/// that were used are remembered, and past kMostUsed of them sign-ins are refused until the oldest expire.
/// Evidence: v1::FinishOidcLoginRequest. Thread-safe.
class Oidc final : public IdentityProvider {
 public:
  /// `network`: threads that wait for providers. What is referred to outlives this. Errors name what is wrong
  /// in the configuration.
  static Result<std::unique_ptr<Oidc>> open(const Shared& shared, Executor& network, Fetch fetch);

  /// Never blocks. not_found "no-such-provider"; unavailable "provider-unavailable".
  void start(const std::string& provider, std::function<void(Services::Reply)> done);
  void identify(const CallContext& call, MessagePtr evidence, Done done) override;

  static constexpr std::int64_t kStateMs = 600'000;
  static constexpr std::size_t kMostUsed = 100'000;  // states, in ten minutes
  static constexpr int kMostUnderWay = 64;           // requests to providers

 private:
  /// What a provider says about itself.
  struct Discovered {
    std::string authorization_endpoint, token_endpoint, jwks_uri;
    std::int64_t until = 0;  // Unix milliseconds
  };
  struct Provider {
    v1::OidcProvider config;
    std::string secret;
    std::mutex mutex;  // guards what follows
    Discovered discovered;
    KeySet keys;
    std::int64_t keys_until = 0, keys_fetched = 0;  // Unix milliseconds
  };
  /// What is sealed into a state.
  struct Started {
    std::string provider, nonce, verifier;
    std::int64_t until = 0;
  };

  Oidc(const Shared& shared, Executor& network, Fetch fetch);
  Provider* find(const std::string& name) const;
  bool enter();
  Result<Discovered> discover(Provider& provider);
  Result<KeySet> keys(Provider& provider, const Discovered& at, bool again);
  Result<v1::StartOidcLoginReply> make_start(Provider& provider);
  Result<Started> take_state(const Provider& provider, const std::string& state);
  Result<std::string> redeem(Provider& provider, const Discovered& at, const Started& started,
                             const std::string& code);
  Result<JsonObject> check_id_token(Provider& provider, const Discovered& at, const Started& started,
                                    const std::string& id_token);
  Result<Person> person_of(const Provider& provider, const JsonObject& claims);
  Result<Person> finish(Provider& provider, const v1::FinishOidcLoginRequest& request);

  const Shared& shared_;
  Executor& network_;
  const Fetch fetch_;
  const std::string key_;
  std::vector<std::unique_ptr<Provider>> providers_;
  std::atomic<int> under_way_{0};
  std::mutex used_mutex_;                     // guards used_
  std::map<std::string, std::int64_t> used_;  // nonces, and when their states expire
};

}  // namespace cx::auth
