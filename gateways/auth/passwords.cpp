#include <spdlog/spdlog.h>

#include "gateways/auth/password.hpp"
#include "gateways/auth/sign_in.hpp"
#include "runtime/address.hpp"

namespace cx::auth {
namespace {

constexpr unsigned kDecoys = 64;

/// A place among the sign-ins that may be under way, already taken; left once, at the latest when nobody is
/// about to answer any more.
class Place {
 public:
  explicit Place(std::atomic<std::uint32_t>& taken) : taken_(taken) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { leave(); }
  void leave() {
    if (!left_.exchange(true)) taken_.fetch_sub(1);
  }

 private:
  std::atomic<std::uint32_t>& taken_;
  std::atomic<bool> left_{false};
};

/// Whom an attempt is counted for. Users who are not there have a few entities in common, since strangers
/// make up as many names as they like, and are counted all the same, which takes a while.
std::string counted_at(const UserEntry* user, const std::string& tenant, std::string_view name) {
  if (user != nullptr) return login_address(user->tenant, user->name);
  return login_address(tenant, std::string("~").append(std::to_string(sha256(name)[0] % kDecoys)));
}

}  // namespace

Error sign_in_failed() {
  return {Code::unauthenticated, "sign-in-failed",
          "The tenant, the user or the password is wrong, or the user is locked after too many attempts; try "
          "again, "
          "in 15 minutes at the latest after a few, or ask an administrator to unlock the user.",
          ""};
}

std::string login_address(std::string_view tenant, std::string_view user) {
  return "login/" + Directory::place(tenant, user);
}

void LocalPasswords::identify(const CallContext&, MessagePtr evidence, Done done) {
  if (under_way_.fetch_add(1) >= shared_.config.max_sign_ins()) {
    under_way_.fetch_sub(1);
    return done(
        Error{Code::overloaded, "overloaded", "Too many users sign in just now; retry in a second.", ""});
  }
  const auto place = std::make_shared<Place>(under_way_);
  const auto request = std::static_pointer_cast<const v1::LoginRequest>(std::move(evidence));
  const auto directory = shared_.directory.get();
  const auto* user = directory->user(request->tenant(), request->user());
  const auto hash = user != nullptr && user->live ? user->password_hash : std::string();
  shared_.ask(
      counted_at(user, shared_.operating, request->user()), std::make_shared<v1::ReserveAttempt>(),
      [this, request, hash, done = std::move(done), place](const Result<MessagePtr>& answer) {
        if (!answer) return done(answer.error());
        const bool allowed = static_cast<const v1::AttemptReserved&>(**answer).allowed();
        passwords_.post([this, request, hash, allowed, done, place] {
          try {
            auto checked = check(*request, hash, allowed);
            place->leave();
            done(std::move(checked));
          } catch (const std::exception& e) {
            spdlog::error("a password could not be checked: {}", e.what());
            done(Error{Code::overloaded, "overloaded", "The password could not be checked; retry.", ""});
          }
        });
      });
}

Result<Person> LocalPasswords::check(const v1::LoginRequest& request, const std::string& hash,
                                     bool allowed) const {
  const bool right = is_password(request.password(), hash);  // also where nothing depends on it
  if (!right || !allowed) return sign_in_failed();
  Person person{request.tenant(), request.user(), "password", hash};
  if (is_outdated(hash)) person.password_hash = upgraded(person, request.password());
  return person;
}

/// Hashes the password anew at today's cost, unless somebody changes the user just now. The hash that holds.
std::string LocalPasswords::upgraded(const Person& person, const std::string& password) const {
  const DocumentKey key{kUser, person.tenant, person.user};
  auto stored = read<v1::UserDocument>(shared_.catalog, key);
  if (!stored || stored->body.password_hash() != person.password_hash) return person.password_hash;
  stored->body.set_password_hash(hash_password(password));
  const auto put = shared_.catalog.put(key, stored->body, stored->document.etag(), "user/" + person.user);
  if (put) return stored->body.password_hash();
  spdlog::warn("the password of {} keeps its old hash: {}", key.text(), put.error().detail);
  return person.password_hash;
}

}  // namespace cx::auth
