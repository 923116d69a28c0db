#pragma once

#include <atomic>
#include <doctest/doctest.h>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/access/login.hpp"
#include "cx/v1/audit.pb.h"
#include "gateways/auth/access.hpp"
#include "gateways/auth/api_key.hpp"
#include "gateways/auth/files.hpp"
#include "runtime/catalog/rocks_store.hpp"
#include "runtime/entity/kind_of.hpp"
#include "tests/faults/fault_environment.hpp"

namespace cx::auth::test {

struct AtomicClock final : Clock {
  std::atomic<std::int64_t> ms{1'700'000'000'000};
  std::int64_t unix_ms() const override { return ms; }
  SteadyTime steady() const override { return SteadyTime(std::chrono::milliseconds(ms.load())); }
};

/// Entities by address, each handling one command at a time.
class Entities {
 public:
  explicit Entities(const Clock& clock) : clock_(clock) { kinds_.add(make_kind(Login{})); }

  Ask ask() {
    return
        [this](const std::string& to, const auth::MessagePtr& command,
               const std::function<void(Result<auth::MessagePtr>)>& answer) { answer(handle(to, *command)); };
  }
  std::vector<v1::AuditEntry> audited() const {
    const std::lock_guard lock(mutex_);
    return audited_;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return entities_.size();
  }

 private:
  Result<auth::MessagePtr> handle(const std::string& to, const google::protobuf::Message& command) {
    const std::lock_guard lock(mutex_);
    if (to.starts_with("audit/")) {
      audited_.push_back(static_cast<const v1::AppendAudit&>(command).entry());
      return auth::MessagePtr(std::make_shared<v1::LoginUnlocked>());
    }
    const auto* kind = kinds_.find("login");
    auto& entity = entities_[to];
    if (!entity) entity = kind->make(to);
    Context context;
    context.now = clock_.unix_ms();
    context.self = to;
    auto decision = entity->decide(*kind->command(command.GetDescriptor()), command, context);
    if (!decision) return decision.error();
    return decision->reply;
  }

  const Clock& clock_;
  Kinds kinds_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Entity>> entities_;
  std::vector<v1::AuditEntry> audited_;
};

/// A node's worth of access: two tenants, "demo", which runs the node, and "acme".
struct World {
  explicit World(const std::function<void(Access::Parts&)>& adapt = nullptr) {
    auto opened = RocksDocumentStore::open("/data/catalog", environment.files());
    REQUIRE(opened);
    store = std::move(*opened);
    catalog = std::make_unique<Catalog>(*store, clock, watches);
    define_access_documents(*catalog);
    std::filesystem::create_directories(data);
    v1::AuthConfig config;
    config.set_access_minutes(15);
    config.set_signing_key_days(30);
    config.set_key_window_seconds(60);
    config.set_user_window_seconds(60);
    config.set_password_threads(1);
    config.set_max_sign_ins(8);
    Access::Parts parts{config, "demo", data, false, clock, *catalog, entities.ask(), fetch};
    if (adapt) adapt(parts);
    auto made = Access::open(std::move(parts));
    REQUIRE(made);
    access = std::move(*made);
    access->add_to(services);
  }
  ~World() {
    access.reset();
    std::filesystem::remove_all(data);
  }

  /// The reply of a method, or why there is none.
  Services::Reply call(const std::string& method, const google::protobuf::Message& request,
                       const CallerPtr& caller = nullptr) {
    const auto* serve = services.unary("cx.v1." + method);
    REQUIRE(serve != nullptr);
    CallContext context;
    context.caller = caller ? caller : std::make_shared<const Caller>();
    std::promise<Services::Reply> answered;
    auto answer = answered.get_future();
    std::shared_ptr<google::protobuf::Message> copy(request.New());
    copy->CopyFrom(request);
    (*serve)(context, copy,
             Services::Respond([&](Services::Reply reply) { answered.set_value(std::move(reply)); }));
    return answer.get();
  }
  /// The same of a method that has to work.
  template <class Reply>
  Reply get(const std::string& method, const google::protobuf::Message& request,
            const CallerPtr& caller = nullptr) {
    auto reply = call(method, request, caller);
    if (!reply) FAIL(method << ": " << reply.error().type << ": " << reply.error().detail);
    return static_cast<const Reply&>(**reply);
  }
  /// Type of the error of a method that must not work.
  std::string refusal(const std::string& method, const google::protobuf::Message& request,
                      const CallerPtr& caller = nullptr) {
    const auto reply = call(method, request, caller);
    return reply ? "" : reply.error().type;
  }

  Result<Admission> admit_bearer(const std::string& token, std::uint32_t cost = 1) {
    const auto authorization = "Bearer " + token;
    Credential credential;
    credential.authorization = authorization;
    return access->authenticator().admit(credential, cost);
  }
  /// "": it is let in.
  std::string refusal_of(const std::string& token) {
    const auto admission = admit_bearer(token);
    return admission ? "" : admission.error().type;
  }
  CallerPtr caller_of(const std::string& token) {
    const auto admission = admit_bearer(token);
    if (!admission) FAIL(admission.error().type);
    return admission->caller;
  }

  /// The administrator's key that the first start wrote.
  std::string admin_key() {
    if (!std::filesystem::exists(data + "/admin.key")) REQUIRE_FALSE(access->bootstrap());
    auto key = read_text(data + "/admin.key");
    key.pop_back();
    return key;
  }
  CallerPtr admin() { return caller_of(admin_key()); }
  /// An administrator of a tenant that was just made.
  CallerPtr admin_of(const std::string& tenant) {
    v1::CreateTenantRequest request;
    request.set_name(tenant);
    return caller_of(get<v1::CreateTenantReply>("Tenants.Create", request, admin()).admin_key().secret());
  }
  void add_user(const std::string& name, const std::string& password, const std::vector<std::string>& roles,
                const CallerPtr& by) {
    v1::CreateUserRequest request;
    request.set_name(name);
    request.set_password(password);
    for (const auto& role : roles) request.add_roles(role);
    get<v1::User>("Users.Create", request, by);
  }
  Services::Reply try_login(const std::string& tenant, const std::string& user, const std::string& password) {
    v1::LoginRequest request;
    request.set_tenant(tenant);
    request.set_user(user);
    request.set_password(password);
    return call("Tokens.Login", request);
  }
  v1::TokenReply login(const std::string& tenant, const std::string& user, const std::string& password) {
    auto reply = try_login(tenant, user, password);
    if (!reply) FAIL(reply.error().type << ": " << reply.error().detail);
    return static_cast<const v1::TokenReply&>(**reply);
  }
  Services::Reply refresh(const std::string& token) {
    v1::RefreshRequest request;
    request.set_refresh_token(token);
    return call("Tokens.Refresh", request);
  }

  static std::string read_text(const std::string& path);

  cx::test::FaultEnvironment environment;
  AtomicClock clock;
  ThreadPool watches{1};
  Entities entities{clock};
  Fetch fetch = [](const FetchRequest&) -> Result<Fetched> {
    return Error{Code::unavailable, "fetch-failed", "There is no network.", ""};
  };
  std::unique_ptr<RocksDocumentStore> store;
  std::unique_ptr<Catalog> catalog;
  const std::string data = std::filesystem::temp_directory_path() / ("cx-access-" + random_base62(10));
  std::unique_ptr<Access> access;
  Services services;
};

inline std::string World::read_text(const std::string& path) {
  const auto text = read_small(path, 1000);
  REQUIRE(text);
  return *text;
}

}  // namespace cx::auth::test
