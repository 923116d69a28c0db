#pragma once

#include <set>
#include <string>

#include "gateways/auth/signing_keys.hpp"
#include "runtime/catalog/compiled.hpp"

namespace cx::auth {

/// Signing keys in a cluster: each node signs with keys of its own, whose public halves are documents that
/// the others verify by, so that a token of one node is good at all of them and no secret leaves its node.
/// The document of a key is signing-key/system/KID, a JWK.
class SharedKeys {
 public:
  static const std::string kKind;
  /// Before the first edit.
  static void define(Catalog& catalog);

  /// `good_ms`: how long after a key was made something that it signed may still be good. All outlive this.
  SharedKeys(Catalog& catalog, SigningKeys& own, const Clock& clock, std::int64_t good_ms);
  /// Publishes ours, takes over those of others, and removes what no longer verifies anything. Blocks; about
  /// once a second.
  void tick();

 private:
  struct Key {
    std::int64_t at = 0;  ///< when it was published, Unix milliseconds
    DocumentKey document;
    VerificationKey key;
  };
  using Keys = std::vector<Key>;
  static Result<Keys> compile(const Definitions& all);

  Catalog& catalog_;
  SigningKeys& own_;
  const Clock& clock_;
  const std::int64_t good_ms_;
  std::set<std::string> published_;  // of ours, by kid
  std::shared_ptr<const Keys> taken_;
  Compiled<Keys> keys_;
};

}  // namespace cx::auth
