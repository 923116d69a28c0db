#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cx/v1/audit.pb.h"

// The chain of hashes that an audit log is, as messages/cx/v1/audit.proto describes it. Pure; without CAF or
// a database, so that whoever has an export can check it.

namespace cx::audit {

/// previous_hash of the first entry.
inline const std::string kNoHash(64, '0');

/// What an entry's hash is of: all of it but that hash.
std::string canonical(const v1::AuditEntry& entry);
/// The hash that an entry should have: 64 lower-case hexadecimal digits.
std::string hash_of(const v1::AuditEntry& entry);

/// A place in a chain: after the entry of this number and hash. By default the beginning.
struct Point {
  std::uint64_t sequence = 0;
  std::string hash = kNoHash;
};

/// Where a chain is broken.
struct Break {
  std::uint64_t sequence;  ///< of the entry that should be there
  std::string why;         ///< a sentence
};

/// Checks entries one after the other, for as long as they come in pages. After a break it stays where it
/// was.
class Verifier {
 public:
  explicit Verifier(Point start = {}) : at_(std::move(start)) {}
  std::optional<Break> next(const v1::AuditEntry& entry);
  /// After the last entry that was good: what a later export goes on from, and what AuditHead should say.
  const Point& at() const { return at_; }

 private:
  Point at_;
  std::string tenant_;  ///< of the first entry; a log has one
};

/// The first break in entries that follow `start`, or none. That nothing is missing at the end only the head
/// of the log tells.
std::optional<Break> verify(std::span<const v1::AuditEntry> entries, Point start = {});

/// Unix milliseconds of a time that is in the range of Timestamp (years 1 to 9999) and a whole number of
/// them.
std::optional<std::int64_t> whole_ms(const google::protobuf::Timestamp& time);

}  // namespace cx::audit
