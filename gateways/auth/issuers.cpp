#include "gateways/auth/issuers.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "gateways/auth/authenticator.hpp"
#include "gateways/auth/files.hpp"
#include "runtime/address.hpp"

namespace cx::auth {
namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMostOften = 10 * kSecond;  // that a stranger can make us fetch
constexpr std::int64_t kAfterFailure = 60 * kSecond;
constexpr std::int64_t kYoungest = 300 * kSecond, kOldest = 24 * 3600 * kSecond;
constexpr std::int64_t kUsual = 3600 * kSecond;

Error wrong(const v1::TokenIssuer& issuer, const std::string& what) {
  return {Code::invalid_argument, "invalid-configuration",
          fmt::format("auth.issuers: {}: {}.", issuer.issuer(), what), ""};
}

/// The keys that files hold; none for an issuer that publishes them.
Result<KeySet> keys_in_files(const v1::TokenIssuer& issuer) {
  const int sources = (issuer.jwks_url().empty() ? 0 : 1) + (issuer.public_key_file().empty() ? 0 : 1) +
                      (issuer.hs256_secret_file().empty() ? 0 : 1);
  if (sources != 1) return wrong(issuer, "name one of jwks_url, public_key_file and hs256_secret_file");
  if (!issuer.jwks_url().empty()) {
    if (const auto error = check_url(issuer.jwks_url())) return wrong(issuer, "jwks_url: " + error->detail);
    return KeySet{};
  }
  const bool is_public = !issuer.public_key_file().empty();
  const auto& path = is_public ? issuer.public_key_file() : issuer.hs256_secret_file();
  auto bytes = read_small(path, 16'384);
  if (!bytes) return bytes.error();
  if (is_public) {
    auto key = key_from_pem(*bytes);
    if (!key) return wrong(issuer, path + " holds no RSA key of 2048 to 8192 bits and no P-256 key in PEM");
    return KeySet{*std::move(key)};
  }
  if (bytes->ends_with('\n')) bytes->pop_back();
  if (bytes->size() < 32) return wrong(issuer, path + " holds fewer than 32 bytes");
  return KeySet{{"", Algorithm::hs256, nullptr, std::move(*bytes)}};
}

}  // namespace

Result<std::unique_ptr<Issuers>> Issuers::open(const v1::AuthConfig& config, const Clock& clock,
                                               Fetch fetch) {
  std::unique_ptr<Issuers> out(new Issuers(clock, std::move(fetch)));
  auto keys = std::make_shared<Keys>();
  for (const auto& one : config.issuers()) {
    if (one.issuer() == kOurName || out->find(one.issuer()) != nullptr)
      return wrong(one, "is there already; each issuer has a name of its own");
    if (!one.tenant().empty() && !is_name(one.tenant())) return wrong(one, "tenant is no tenant's name");
    auto held = keys_in_files(one);
    if (!held) return held.error();
    auto issuer = std::make_unique<Issuer>();
    issuer->index = out->issuers_.size();
    issuer->config = one;
    if (one.tenant_claim().empty()) issuer->config.set_tenant_claim("tenant_id");
    if (one.roles_claim().empty()) issuer->config.set_roles_claim("roles");
    issuer->due = out->now();
    issuer->fetched = issuer->due - kMostOften;
    out->issuers_.push_back(std::move(issuer));
    keys->sets.push_back(std::make_shared<const KeySet>(std::move(*held)));
  }
  out->keys_.set(std::move(keys));
  return out;
}

Issuers::~Issuers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Issuers::start() {
  const auto published = [](const auto& issuer) { return !issuer->config.jwks_url().empty(); };
  if (std::any_of(issuers_.begin(), issuers_.end(), published)) thread_ = std::thread([this] { run(); });
}

Issuers::Issuer* Issuers::find(std::string_view issuer) const {
  for (const auto& one : issuers_)
    if (one->config.issuer() == issuer) return one.get();
  return nullptr;
}

void Issuers::want(Issuer& issuer) {
  // A wake-up that is lost costs a second: run() looks that often.
  if (!issuer.config.jwks_url().empty() && !issuer.wanted.exchange(true)) wake_.notify_one();
}

std::int64_t Issuers::refresh() {
  std::int64_t next = now() + kSecond;
  for (const auto& issuer : issuers_) {
    const auto& url = issuer->config.jwks_url();
    if (url.empty()) continue;
    const auto due = issuer->wanted ? std::min(issuer->due, issuer->fetched + kMostOften) : issuer->due;
    if (now() < due) {
      next = std::min(next, due);
      continue;
    }
    issuer->wanted = false;
    const auto fetched = fetch_({url});
    issuer->fetched = now();
    auto keys = fetched && fetched->status == 200 ? keys_from_jwks(fetched->body) : std::nullopt;
    if (!keys) {
      spdlog::warn("the keys of {} could not be fetched, what is known of them stays: {}",
                   issuer->config.issuer(),
                   !fetched ? fetched.error().detail
                            : fmt::format("{} answered {} without a JWK set", url, fetched->status));
      issuer->due = issuer->fetched + kAfterFailure;
      continue;
    }
    const auto age = fetched->max_age < 0 ? kUsual : std::min(fetched->max_age, kOldest / kSecond) * kSecond;
    issuer->due = issuer->fetched + std::clamp(age, kYoungest, kOldest);
    publish(issuer->index, std::move(*keys));
  }
  return std::max<std::int64_t>(next - now(), 1);
}

void Issuers::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    const auto wait = refresh();
    lock.lock();
    if (!stop_) wake_.wait_for(lock, std::chrono::milliseconds(wait));
  }
}

std::int64_t Issuers::now() const {
  using namespace std::chrono;
  return duration_cast<milliseconds>(clock_.steady().time_since_epoch()).count();
}

void Issuers::publish(std::size_t index, KeySet keys) {
  auto next = std::make_shared<Keys>(*keys_.get());
  ++next->serial;
  next->sets[index] = std::make_shared<const KeySet>(std::move(keys));
  keys_.set(std::move(next));
}

}  // namespace cx::auth
