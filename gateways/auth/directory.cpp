#include "gateways/auth/directory.hpp"

#include <algorithm>
#include <atomic>
#include <spdlog/spdlog.h>

#include "gateways/auth/documents.hpp"
#include "gateways/auth/roles.hpp"

namespace cx::auth {
namespace {

template <class T>
const T* find(const ByText<T>& map, std::string_view key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

Sha256 hash_of(const std::string& bytes) {
  Sha256 out{};
  if (bytes.size() == out.size()) std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

class Compiler {
 public:
  Compiler(const Definitions& all, const DirectoryOptions& options, Buckets& buckets)
      : all_(all), options_(options), buckets_(buckets) {
    static std::atomic<std::uint64_t> last{0};
    out_.serial = ++last;
    out_.operating = options.operating;
    for (const auto& tenant : {options.tenant, options.operating}) out_.tenants[tenant] = true;
  }

  Directory run() {
    // In this order: each needs those before it.
    each<v1::TenantDocument>(kTenant, [this](const auto& key, const auto& body) {
      if (key.id != options_.operating) out_.tenants[key.id] = !body.disabled();
    });
    each<v1::RoleDocument>(kRole, [this](const auto& key, const auto& body) {
      if (find_built_in_role(key.id) == nullptr)
        out_.roles[Directory::place(key.tenant, key.id)] = permissions(body.permissions());
    });
    each<v1::UserDocument>(kUser, [this](const auto& key, const auto& body) { add_user(key, body); });
    each<v1::EndedSessions>(
        kEndedSessions, [this](const auto& key, const auto& body) { end_sessions(key, body); },
        [this](const auto& key) {
          // Which sessions have ended is unknown: none may go on.
          const auto user = out_.users.find(Directory::place(key.tenant, key.id));
          if (user != out_.users.end()) user->second.issued_before = INT64_MAX;
        });
    each<v1::ApiKeyDocument>(kApiKey, [this](const auto& key, const auto& body) { add_key(key, body); });
    return std::move(out_);
  }

 private:
  template <class Body, class Use>
  void each(const std::string& kind, const Use& use,
            const std::function<void(const DocumentKey&)>& unreadable = nullptr) {
    for (auto at = all_.lower_bound({kind, "", ""}); at != all_.end() && at->first.kind == kind; ++at) {
      const auto body = read_body<Body>(at->second);
      if (body) {
        use(at->first, *body);
      } else {
        ++out_.unreadable;
        spdlog::error("nobody comes in by {}: {}", at->first.text(), body.error().detail);
        if (unreadable) unreadable(at->first);
      }
    }
  }

  static Permissions permissions(const google::protobuf::RepeatedPtrField<std::string>& names) {
    Permissions out;
    for (const auto& name : names)
      if (const auto number = permission_number(name)) out.set(*number);
    return out;
  }

  void add_user(const DocumentKey& key, const v1::UserDocument& body) {
    const auto place = Directory::place(key.tenant, key.id);
    auto& user = out_.users[place];
    user.tenant = key.tenant;
    user.name = key.id;
    user.live = !body.disabled() && out_.is_live(key.tenant);
    user.password_hash = body.password_hash();
    user.roles.assign(body.roles().begin(), body.roles().end());
    user.permissions = out_.permissions_of(key.tenant, user.roles);
    user.bucket = buckets_.of("user/" + place);
    // A token names its user: it is not for another one who has the name later. Tokens have whole seconds.
    user.created = unix_ms(body.created_at());
    user.issued_before = user.created - 1000;
    for (const auto& identity : body.identities())
      out_.identities.emplace(Directory::identity_place(key.tenant, identity.provider(), identity.subject()),
                              place);
  }

  void end_sessions(const DocumentKey& key, const v1::EndedSessions& body) {
    const auto user = out_.users.find(Directory::place(key.tenant, key.id));
    if (user == out_.users.end()) return;
    for (const auto& session : body.sessions()) user->second.ended.insert(session.session());
    user->second.issued_before = std::max(user->second.issued_before, unix_ms(body.issued_before()));
  }

  void add_key(const DocumentKey& key, const v1::ApiKeyDocument& body) {
    auto caller = std::make_shared<Caller>();
    caller->tenant = key.tenant;
    caller->actor = "key/" + key.id;
    caller->roles.assign(body.roles().begin(), body.roles().end());
    caller->permissions = out_.permissions_of(key.tenant, caller->roles) |
                          out_.allowed(key.tenant, permissions(body.permissions()));
    caller->expires_at = body.has_expires_at() ? std::max<std::int64_t>(unix_ms(body.expires_at()), 1) : 0;
    caller->operates = key.tenant == options_.operating;
    caller->credential = body.certificate_subject().empty() ? "api-key" : "certificate";

    KeyEntry entry;
    entry.caller = std::move(caller);
    entry.secret = hash_of(body.secret_sha256());
    entry.old_secret = hash_of(body.old_secret_sha256());
    entry.old_secret_until = body.old_secret_sha256().empty() ? 0 : unix_ms(body.old_secret_until());
    entry.live = !body.has_revoked_at() && out_.is_live(key.tenant);
    entry.by_certificate = !body.certificate_subject().empty();
    entry.rate = body.rate().requests() > 0 ? Rate{body.rate().requests(), body.rate().window_seconds()}
                                            : options_.key_rate;
    entry.bucket = buckets_.of("key/" + key.id);
    // Ids are random: two that are the same were not made here, and neither can be told from the other.
    const auto [at, added] = out_.keys.emplace(key.id, std::move(entry));
    if (!added) {
      at->second.live = false;
      ++out_.unreadable;
      spdlog::error("nobody comes in by {}: another tenant has a key of that id", key.text());
    } else if (at->second.by_certificate && at->second.live) {
      out_.certificates.emplace(body.certificate_subject(), key.id);
    }
  }

  const Definitions& all_;
  const DirectoryOptions& options_;
  Buckets& buckets_;
  Directory out_;
};

}  // namespace

std::string Directory::place(std::string_view tenant, std::string_view name) {
  std::string out;
  out.reserve(tenant.size() + 1 + name.size());
  return out.append(tenant).append(1, '/').append(name);
}

std::string Directory::identity_place(std::string_view tenant, std::string_view provider,
                                      std::string_view subject) {
  // Neither of the first two can contain a slash.
  return place(tenant, place(provider, subject));
}

const KeyEntry* Directory::key(std::string_view id) const {
  return find(keys, id);
}
const KeyEntry* Directory::certificate(std::string_view subject) const {
  const auto* id = find(certificates, subject);
  return id == nullptr ? nullptr : find(keys, *id);
}
const UserEntry* Directory::user(std::string_view tenant, std::string_view name) const {
  return find(users, place(tenant, name));
}
const UserEntry* Directory::identity(std::string_view tenant, std::string_view provider,
                                     std::string_view subject) const {
  const auto* user = find(identities, identity_place(tenant, provider, subject));
  return user == nullptr ? nullptr : find(users, *user);
}
bool Directory::is_live(std::string_view tenant) const {
  const auto* live = find(tenants, tenant);
  return live != nullptr && *live;
}
bool Directory::has_role(std::string_view tenant, std::string_view role) const {
  return find_built_in_role(role) != nullptr || find(roles, place(tenant, role)) != nullptr;
}

Permissions Directory::permissions_of(const std::string& tenant,
                                      const std::vector<std::string>& names) const {
  Permissions out;
  for (const auto& name : names) {
    if (const auto* built_in = find_built_in_role(name))
      out |= built_in->permissions;
    else if (const auto* own = find(roles, place(tenant, name)))
      out |= *own;
  }
  return allowed(tenant, out);
}

Permissions Directory::allowed(const std::string& tenant, Permissions permissions) const {
  return tenant == operating ? permissions : permissions & ~system_permissions();
}

std::vector<std::string> directory_kinds() {
  return {kTenant, kRole, kUser, kEndedSessions, kApiKey};
}

Directory compile_directory(const Definitions& all, const DirectoryOptions& options, Buckets& buckets) {
  return Compiler(all, options, buckets).run();
}

}  // namespace cx::auth
