#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gateways/auth/jwt.hpp"
#include "runtime/catalog/published.hpp"
#include "runtime/clock.hpp"
#include "runtime/error.hpp"

namespace cx::auth {

/// The P-256 keys that sign our access tokens, each a file CREATED-KID.pem (Unix milliseconds) of a directory
/// that only we may read. The newest signs; older ones verify until what they signed has expired, and are
/// then removed. Thread-safe.
class SigningKeys {
 public:
  struct Habits {
    std::int64_t sign_ms = 0;   ///< how long a key signs
    std::int64_t token_ms = 0;  ///< how long a token is good for
  };
  /// Makes the directory, and the first key, where there is none. `clock` outlives this.
  static Result<std::unique_ptr<SigningKeys>> open(std::string directory, const Clock& clock, Habits habits);

  /// Makes the next key now; signs with it from now on.
  std::optional<Error> rotate();
  /// Does what is due; to be called now and then. Blocks.
  std::optional<Error> tick();

  /// Keys of the other nodes of a cluster, whose tokens are as good as ours.
  void trust(KeySet others);

  std::string sign(std::string_view claims) const { return sign_token(ring_.get()->own.front(), claims); }
  struct Ring {
    std::uint64_t serial = 0;  ///< another one for other keys
    KeySet own;                ///< the newest first
    KeySet keys;               ///< what verifies: ours, then others'
    std::string jwks;          ///< these as a JWK set: application/jwk-set+json
  };
  std::shared_ptr<const Ring> ring() const { return ring_.get(); }

 private:
  struct Stored {
    std::int64_t created;
    std::string file;
    VerificationKey key;
  };
  SigningKeys(std::string directory, const Clock& clock, Habits habits)
      : directory_(std::move(directory)),
        clock_(clock),
        habits_(habits),
        ring_(std::make_shared<const Ring>()) {}
  std::optional<Error> load();
  std::optional<Error> rotate_locked();
  void publish();
  Error failed(const std::string& what, const std::string& file) const;

  const std::string directory_;
  const Clock& clock_;
  const Habits habits_;
  std::mutex mutex_;            // guards the three below and the files
  std::vector<Stored> stored_;  // the newest first
  KeySet others_;
  std::uint64_t serial_ = 0;
  Published<Ring> ring_;
};

}  // namespace cx::auth
