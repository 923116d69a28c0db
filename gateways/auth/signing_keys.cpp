#include "gateways/auth/signing_keys.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <spdlog/spdlog.h>

#include "gateways/auth/files.hpp"

namespace cx::auth {
namespace {

namespace fs = std::filesystem;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

PublicKey from_pem(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  auto key = own(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  char group[32] = "";
  if (!key || EVP_PKEY_get_group_name(key.get(), group, sizeof group, nullptr) != 1 ||
      std::string_view(group) != "prime256v1")
    return nullptr;
  return key;
}

std::string to_pem(const PublicKey& key) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  if (PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) return {};
  char* bytes = nullptr;
  const auto length = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<std::size_t>(length)};
}

}  // namespace

Error SigningKeys::failed(const std::string& what, const std::string& file) const {
  return {Code::unavailable, "signing-keys-failed",
          fmt::format("{}/{} {}; remove it, and everybody who is signed in signs in again.", directory_, file,
                      what),
          ""};
}

Result<std::unique_ptr<SigningKeys>> SigningKeys::open(std::string directory, const Clock& clock,
                                                       Habits habits) {
  std::unique_ptr<SigningKeys> keys(new SigningKeys(std::move(directory), clock, habits));
  if (auto error = keys->load()) return *std::move(error);
  if (auto error = keys->tick()) return *std::move(error);
  return keys;
}

std::optional<Error> SigningKeys::load() {
  std::error_code error;
  fs::create_directories(directory_, error);
  fs::permissions(directory_, fs::perms::owner_all, error);
  if (error)
    return Error{Code::unavailable, "signing-keys-failed",
                 fmt::format("{} cannot be made a directory of our own: {}.", directory_, error.message()),
                 ""};
  for (const auto& entry : fs::directory_iterator(directory_)) {
    const auto file = entry.path().filename().string();
    if (!file.ends_with(".pem")) continue;
    std::int64_t created = 0;
    const auto [end, wrong] = std::from_chars(file.data(), file.data() + file.size(), created);
    if (wrong != std::errc{} || *end != '-') return failed("is not named CREATED-KID.pem", file);
    const auto pem = read_small(entry.path(), 4096);
    if (!pem) return pem.error();
    auto key = from_pem(*pem);
    if (!key) return failed("is no P-256 key", file);
    auto kid = thumbprint(key);
    stored_.push_back({created, file, {std::move(kid), Algorithm::es256, std::move(key), ""}});
  }
  std::sort(stored_.begin(), stored_.end(),
            [](const Stored& a, const Stored& b) { return a.created > b.created; });
  if (!stored_.empty()) publish();
  return std::nullopt;
}

std::optional<Error> SigningKeys::rotate() {
  const std::lock_guard lock(mutex_);
  return rotate_locked();
}

std::optional<Error> SigningKeys::rotate_locked() {
  auto key = own(EVP_EC_gen("P-256"));
  auto kid = thumbprint(key);
  const auto newest = stored_.empty() ? 0 : stored_.front().created + 1;  // whatever the clock says
  const auto created = std::max(clock_.unix_ms(), newest);
  const auto file = fmt::format("{}-{}.pem", created, kid);
  if (auto error = write_secret(directory_ + '/' + file, to_pem(key))) return error;
  spdlog::info("access tokens are signed with a new key: kid={}", kid);
  stored_.insert(stored_.begin(), {created, file, {std::move(kid), Algorithm::es256, std::move(key), ""}});
  publish();
  return std::nullopt;
}

std::optional<Error> SigningKeys::tick() {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.unix_ms();
  if (stored_.empty() || now - stored_.front().created >= habits_.sign_ms)
    if (auto error = rotate_locked()) return error;
  // The one after it took over so long ago that nothing it signed is good.
  bool removed = false;
  while (stored_.size() > 1 && now - stored_[stored_.size() - 2].created > habits_.token_ms + kLeeway) {
    std::error_code ignored;  // what stays is read and removed again at the next start
    fs::remove(directory_ + '/' + stored_.back().file, ignored);
    stored_.pop_back();
    removed = true;
  }
  if (removed) publish();
  return std::nullopt;
}

void SigningKeys::trust(KeySet others) {
  const std::lock_guard lock(mutex_);
  others_ = std::move(others);
  publish();
}

void SigningKeys::publish() {
  auto ring = std::make_shared<Ring>();
  ring->serial = ++serial_;
  for (const auto& stored : stored_) ring->own.push_back(stored.key);
  ring->keys = ring->own;
  ring->keys.insert(ring->keys.end(), others_.begin(), others_.end());
  ring->jwks = R"({"keys":[)";
  for (const auto& key : ring->keys) {
    if (&key != &ring->keys.front()) ring->jwks += ',';
    ring->jwks += jwk_of(key);
  }
  ring->jwks += "]}";
  ring_.set(std::move(ring));
}

}  // namespace cx::auth
