#include "providers/channels/standard_webhooks.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace cx::channels {
namespace {

constexpr std::int64_t kTolerance = 300;        // seconds
constexpr std::size_t kMostSignatures = 32;     // looked at in one request
constexpr std::size_t kSignatureBytes = 32;     // of HMAC-SHA256
constexpr std::string_view kPrefix = "whsec_";  // of a secret as it is shown

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::string to_base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), raw(bytes), static_cast<int>(bytes.size()));
  return out;
}

/// Padding may be missing. Takes nothing that is not of the alphabet, which OpenSSL would.
std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
  if (!plain || text.size() % 4 == 1) return std::nullopt;
  std::string padded(text);
  padded.append((4 - text.size() % 4) % 4, '=');
  std::string out(padded.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), raw(padded),
                      static_cast<int>(padded.size())) < 0)
    return std::nullopt;
  out.resize(text.size() * 3 / 4);
  return out;
}

std::string hmac(std::string_view key, std::string_view bytes) {
  std::string out(kSignatureBytes, '\0');
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(bytes), bytes.size(),
           reinterpret_cast<unsigned char*>(out.data()), &length) == nullptr)
    std::abort();
  return out;
}

std::string signed_text(std::string_view id, std::string_view timestamp, std::string_view body) {
  std::string text;
  text.reserve(id.size() + timestamp.size() + body.size() + 2);
  return text.append(id).append(1, '.').append(timestamp).append(1, '.').append(body);
}

/// Cuts the text up to the next space off.
std::string_view next_word(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

Result<WebhookSecrets> WebhookSecrets::parse(std::string_view text) {
  WebhookSecrets secrets;
  const Error wrong{
      Code::invalid_argument, "invalid-secret",
      "A webhook's secret is base64 of 24 to 64 random bytes, with whsec_ before it or not: make one "
      "with echo whsec_$(openssl rand -base64 32). At most 5, with spaces between.",
      ""};
  for (auto word = next_word(text); !word.empty(); word = next_word(text)) {
    if (word.starts_with(kPrefix)) word.remove_prefix(kPrefix.size());
    auto key = from_base64(word);
    if (!key || key->size() < kLeast || key->size() > kMost || secrets.keys_.size() == kMostSecrets)
      return wrong;
    secrets.keys_.push_back(std::move(*key));
  }
  if (secrets.keys_.empty()) return wrong;
  return secrets;
}

std::string WebhookSecrets::sign(std::string_view id, std::int64_t timestamp, std::string_view body) const {
  const auto text = signed_text(id, std::to_string(timestamp), body);
  std::string out;
  for (const auto& key : keys_) out.append(out.empty() ? "v1," : " v1,").append(to_base64(hmac(key, text)));
  return out;
}

std::optional<std::string> WebhookSecrets::verify(std::string_view id, std::string_view timestamp,
                                                  std::string_view signature, std::string_view body,
                                                  std::int64_t now) const {
  if (id.empty() || timestamp.empty() || signature.empty())
    return "webhook-id, webhook-timestamp or webhook-signature is missing";
  std::int64_t at = 0;
  const auto* end = timestamp.data() + timestamp.size();
  if (const auto [stop, error] = std::from_chars(timestamp.data(), end, at);
      error != std::errc{} || stop != end)
    return "webhook-timestamp is not a number of seconds";
  if (at < now - kTolerance || at > now + kTolerance) return "webhook-timestamp is more than 5 minutes away";

  const auto text = signed_text(id, timestamp, body);
  std::vector<std::string> expected;
  for (const auto& key : keys_) expected.push_back(hmac(key, text));
  bool matches = false;
  std::size_t looked = 0;
  for (auto word = next_word(signature); !word.empty() && looked < kMostSignatures;
       word = next_word(signature), ++looked) {
    if (!word.starts_with("v1,")) continue;
    const auto given = from_base64(word.substr(3));
    if (!given || given->size() != kSignatureBytes) continue;
    for (const auto& good : expected)
      matches = CRYPTO_memcmp(given->data(), good.data(), kSignatureBytes) == 0 || matches;
  }
  if (!matches) return "webhook-signature has no v1 signature that matches";
  return std::nullopt;
}

}  // namespace cx::channels
