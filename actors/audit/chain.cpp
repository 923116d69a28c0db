#include "actors/audit/chain.hpp"

#include <array>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>
#include <openssl/evp.h>
#include <stdexcept>

namespace cx::audit {
namespace {

void add(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
  out += ',';
}

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("SHA-256 failed");
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    out += kDigits[digest[i] >> 4];
    out += kDigits[digest[i] & 15];
  }
  return out;
}

bool has_unknown_fields(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

}  // namespace

std::optional<std::int64_t> whole_ms(const google::protobuf::Timestamp& time) {
  constexpr std::int64_t kFirst = -62'135'596'800, kLast = 253'402'300'799;  // years 1 to 9999
  if (time.seconds() < kFirst || time.seconds() > kLast) return std::nullopt;
  if (time.nanos() < 0 || time.nanos() > 999'999'999 || time.nanos() % 1'000'000 != 0) return std::nullopt;
  return time.seconds() * 1'000 + time.nanos() / 1'000'000;
}

std::string canonical(const v1::AuditEntry& entry) {
  std::string roles, out;
  for (const auto& role : entry.roles()) add(roles, role);
  add(out, "cx.v1.AuditEntry");
  add(out, entry.previous_hash());
  add(out, std::to_string(entry.sequence()));
  add(out, std::to_string(whole_ms(entry.at()).value_or(0)));
  add(out, entry.tenant());
  add(out, entry.actor());
  add(out, roles);
  add(out, entry.method());
  add(out, entry.resource());
  add(out, entry.outcome());
  add(out, entry.problem());
  add(out, entry.request_id());
  add(out, entry.trace());
  add(out, entry.details());
  return out;
}

std::string hash_of(const v1::AuditEntry& entry) {
  return sha256(canonical(entry));
}

std::optional<Break> Verifier::next(const v1::AuditEntry& entry) {
  const auto expected = at_.sequence + 1;
  const auto broken = [&](std::string why) { return Break{expected, std::move(why)}; };
  if (entry.sequence() != expected)
    return broken("Entry " + std::to_string(expected) + " is missing: in its place is entry " +
                  std::to_string(entry.sequence()) + ".");
  const auto name = "Entry " + std::to_string(expected);
  if (entry.previous_hash() != at_.hash)
    return broken(
        name +
        " does not follow from the entry before it, of which it expects another hash: one of the two "
        "was changed.");
  if (!entry.has_at() || !whole_ms(entry.at()))
    return broken(name + " was changed: its time is not one that a log would have.");
  // What no hash covers has no place in an entry.
  if (has_unknown_fields(entry) || has_unknown_fields(entry.at()))
    return broken(name + " has fields that are not known here: it was changed, or is of a newer version.");
  if (entry.hash() != hash_of(entry))
    return broken(name + " was changed: its content does not have its hash.");
  if (tenant_.empty()) tenant_ = entry.tenant();
  if (entry.tenant() != tenant_)
    return broken(name + " is of tenant '" + entry.tenant() + "', those before it of '" + tenant_ + "'.");
  at_ = {expected, entry.hash()};
  return std::nullopt;
}

std::optional<Break> verify(std::span<const v1::AuditEntry> entries, Point start) {
  Verifier verifier(std::move(start));
  for (const auto& entry : entries)
    if (auto broken = verifier.next(entry)) return broken;
  return std::nullopt;
}

}  // namespace cx::audit
