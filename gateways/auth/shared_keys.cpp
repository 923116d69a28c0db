#include "gateways/auth/shared_keys.hpp"

#include <fmt/format.h>
#include <google/protobuf/wrappers.pb.h>
#include <spdlog/spdlog.h>

#include "gateways/auth/documents.hpp"

namespace cx::auth {
namespace {

using Jwk = google::protobuf::StringValue;

std::optional<VerificationKey> parse(const std::string& jwk) {
  auto keys = keys_from_jwks(fmt::format(R"({{"keys":[{}]}})", jwk));
  if (!keys || keys->size() != 1 || keys->front().algorithm != Algorithm::es256) return std::nullopt;
  return std::move(keys->front());
}

}  // namespace

const std::string SharedKeys::kKind = "signing-key";

void SharedKeys::define(Catalog& catalog) {
  catalog.define<Jwk>(kKind, [](const Jwk& body) -> std::optional<Error> {
    if (parse(body.value())) return std::nullopt;
    return Error{Code::invalid_argument, "invalid-document", "This is not the JWK of a P-256 key.", "/value"};
  });
}

SharedKeys::SharedKeys(Catalog& catalog, SigningKeys& own, const Clock& clock, std::int64_t good_ms)
    : catalog_(catalog),
      own_(own),
      clock_(clock),
      good_ms_(good_ms),
      keys_(catalog, {kKind}, [](const Definitions& all) { return compile(all); }) {
  tick();
}

Result<SharedKeys::Keys> SharedKeys::compile(const Definitions& all) {
  Keys keys;
  for (const auto& [name, document] : all) {
    const auto body = read_body<Jwk>(document);
    auto key = body ? parse(body->value()) : std::nullopt;
    if (key && key->kid == name.id) keys.push_back({document.at(), name, std::move(*key)});
  }
  return keys;
}

void SharedKeys::tick() {
  const auto ring = own_.ring();
  std::set<std::string> ours;
  for (const auto& key : ring->own) {
    ours.insert(key.kid);
    if (published_.contains(key.kid)) continue;
    Jwk body;
    body.set_value(jwk_of(key));
    const auto stored = catalog_.put({kKind, kSystemTenant, key.kid}, body, "", "system");
    if (stored || stored.error().code == Code::conflict)
      published_.insert(key.kid);
    else
      spdlog::warn("the key {} could not be made known to the other nodes: {}", key.kid,
                   stored.error().detail);
  }
  const auto keys = keys_.get();
  if (keys == taken_) return;
  taken_ = keys;
  KeySet others;
  for (const auto& key : *keys) {
    if (ours.contains(key.key.kid)) continue;
    if (clock_.unix_ms() - key.at <= good_ms_)
      others.push_back(key.key);
    else
      static_cast<void>(
          catalog_.remove(key.document, std::nullopt, "system"));  // another node may be quicker
  }
  own_.trust(std::move(others));
}

}  // namespace cx::auth
