#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "gateways/auth/bucket.hpp"
#include "gateways/auth/crypto.hpp"
#include "runtime/access/caller.hpp"
#include "runtime/catalog/compiled.hpp"

namespace cx::auth {

/// What of the configuration matters to who may do what.
struct DirectoryOptions {
  std::string tenant;     ///< the node's own: it needs no document
  std::string operating;  ///< the tenant that runs the node
  Rate key_rate, user_rate;
};

struct KeyEntry {
  CallerPtr caller;  ///< who shows it
  Sha256 secret{}, old_secret{};
  std::int64_t old_secret_until = 0;  ///< Unix milliseconds; 0 when there is no old one
  bool live = false;                  ///< neither revoked nor of a tenant that is disabled
  bool by_certificate = false;        ///< it has no secret
  Rate rate;
  std::shared_ptr<Bucket> bucket;
};

struct UserEntry {
  std::string tenant, name;
  bool live = false;  ///< neither disabled nor of a tenant that is
  std::string password_hash;
  std::vector<std::string> roles;
  Permissions permissions;
  std::unordered_set<std::string> ended;  ///< sessions
  std::int64_t issued_before = 0;  ///< access tokens of that time or earlier are refused, Unix milliseconds
  std::int64_t created = 0;        ///< Unix milliseconds
  std::shared_ptr<Bucket> bucket;
};

struct TextHash : std::hash<std::string_view> {
  using is_transparent = void;
};
template <class T>
using ByText = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

/// Everybody who may come in, of all tenants, as one immutable value that is compiled anew off the hot path
/// whenever one of the documents changes. A document that cannot be read is left out, so that what it stood
/// for does not come in, and everything else goes on.
struct Directory {
  std::uint64_t serial = 0;          ///< another one for each that was compiled
  ByText<KeyEntry> keys;             ///< by public id
  ByText<std::string> certificates;  ///< ids of keys by subject
  ByText<UserEntry> users;           ///< by place()
  ByText<std::string> identities;    ///< users' places by identity_place()
  ByText<Permissions> roles;         ///< the tenants' own, by place()
  ByText<bool> tenants;              ///< whether it is live
  std::string operating;
  std::size_t unreadable = 0;  ///< documents

  static std::string place(std::string_view tenant, std::string_view name);
  static std::string identity_place(std::string_view tenant, std::string_view provider,
                                    std::string_view subject);

  const KeyEntry* key(std::string_view id) const;
  const KeyEntry* certificate(std::string_view subject) const;
  const UserEntry* user(std::string_view tenant, std::string_view name) const;
  const UserEntry* identity(std::string_view tenant, std::string_view provider,
                            std::string_view subject) const;
  bool is_live(std::string_view tenant) const;
  bool has_role(std::string_view tenant, std::string_view role) const;

  /// What roles come to. A role that there is not comes to nothing; system.* is only the operating tenant's.
  Permissions permissions_of(const std::string& tenant, const std::vector<std::string>& roles) const;
  /// Without what a tenant cannot have.
  Permissions allowed(const std::string& tenant, Permissions permissions) const;
};

/// The kinds of documents that a directory is compiled from.
std::vector<std::string> directory_kinds();
/// `buckets` outlives the directory.
Directory compile_directory(const Definitions& all, const DirectoryOptions& options, Buckets& buckets);

}  // namespace cx::auth
