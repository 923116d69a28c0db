#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateways/auth/directory.hpp"
#include "gateways/auth/issuers.hpp"
#include "gateways/auth/signing_keys.hpp"
#include "runtime/access/authenticator.hpp"
#include "runtime/clock.hpp"

namespace cx::auth {

/// What our own access tokens have in "iss" and "aud".
inline constexpr std::string_view kOurName = "campaign-express";

/// Tells callers by API keys, access tokens and client certificates. What it looks at are immutable
/// snapshots; a token that was verified is remembered by the thread that did, by its SHA-256, at most
/// kRemembered of them, until it expires; that its user is still there and that its session has not ended is
/// looked up again whenever the directory changes. Thread-safe, never blocks.
class CredentialAuthenticator final : public Authenticator {
 public:
  struct Parts {
    const Compiled<Directory>& directory;
    const SigningKeys& signing_keys;
    Issuers& issuers;
    Buckets& buckets;
    const Clock& clock;
    Rate user_rate;
    std::string anonymous_tenant;  ///< who shows nothing may send bids there; empty: nobody may
  };
  explicit CredentialAuthenticator(Parts parts);

  Result<Admission> admit(const Credential& credential, std::uint32_t cost) const override;

  static constexpr std::size_t kRemembered = 8192;  ///< tokens, by each thread

 private:
  struct Seen;
  struct Memory;
  using Resolved = std::shared_ptr<const Seen>;

  Result<Admission> admit_key(std::string_view key, std::uint32_t cost) const;
  Result<Admission> admit_certificate(std::string_view subject, std::uint32_t cost) const;
  Result<Admission> admit_token(std::string_view token, std::uint32_t cost) const;
  Result<Seen> verify_token(std::string_view token, const Directory& directory) const;
  /// Finds who a verified token stands for, now; false for nobody.
  bool resolve(Seen& seen, const Directory& directory) const;
  Memory& memory() const;
  std::uint64_t keys_serial() const;
  Result<Admission> take(const CallerPtr& caller, const Rate& rate, Bucket& bucket, std::uint32_t cost) const;

  const Parts parts_;
  const CallerPtr anonymous_;
  const std::uint64_t id_;                   // an address could be that of one that is gone
  const std::shared_ptr<const char> alive_;  // by which threads tell that this is gone
};

}  // namespace cx::auth
