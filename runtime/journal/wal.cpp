#include "runtime/journal/wal.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <rocksdb/env.h>
#include <string_view>
#include <vector>

#include "runtime/journal/rocks.hpp"

namespace cx {
namespace {

// RocksDB's log format (github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format): blocks of 32 KB; in
// them fragments of checksum (4 bytes), length (2), type (1) and payload, little-endian; a rest of a block
// too small for a header is zeros.
constexpr std::size_t kBlock = 32'768;
constexpr std::size_t kHeader = 7;
enum Type : std::uint8_t { zero = 0, full = 1, first = 2, middle = 3, last = 4 };

/// CRC-32C, bytewise: this runs after a power loss, over one file.
constexpr std::array<std::uint32_t, 256> kCrc = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78 : 0);
    table[i] = crc;
  }
  return table;
}();

std::uint32_t extend(std::uint32_t crc, std::uint8_t byte) {
  return kCrc[(crc ^ byte) & 0xff] ^ (crc >> 8);
}

/// As RocksDB stores it.
std::uint32_t masked(std::uint32_t crc) {
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

struct Header {
  std::uint32_t checksum;
  std::uint16_t length;
  std::uint8_t type;
};

Header header_at(std::string_view block, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(block[at + i]); };
  return {.checksum = byte(0) | (std::uint32_t{byte(1)} << 8) | (std::uint32_t{byte(2)} << 16) |
                      (std::uint32_t{byte(3)} << 24),
          .length = static_cast<std::uint16_t>(byte(4) | (byte(5) << 8)),
          .type = byte(6)};
}

/// Whether a whole fragment starts at `at`.
bool fragment_at(std::string_view block, std::size_t at) {
  if (block.size() - at < kHeader) return false;
  const Header header = header_at(block, at);
  if (header.type < full || header.type > last || block.size() - at - kHeader < header.length) return false;
  std::uint32_t crc = extend(~0U, header.type);
  for (const char c : block.substr(at + kHeader, header.length))
    crc = extend(crc, static_cast<std::uint8_t>(c));
  return masked(crc) == header.checksum;
}

/// Whether the fragment at `at` is whole but for its length: the checksum covers type and payload.
bool length_damaged_at(std::string_view block, std::size_t at) {
  if (block.size() - at < kHeader) return false;
  const Header header = header_at(block, at);
  std::uint32_t crc = extend(~0U, header.type);
  for (const char c : block.substr(at + kHeader)) {
    if (masked(crc) == header.checksum) return true;
    crc = extend(crc, static_cast<std::uint8_t>(c));
  }
  return masked(crc) == header.checksum;
}

struct Scan {
  std::optional<std::uint64_t> damage;
  bool torn_end = false;
  // Sequence numbers of RocksDB's, of the whole records: the first, and the one after the last.
  std::optional<std::uint64_t> first, next;
};

/// What a record starts with: the sequence number of its first operation (8 bytes), and how many there are
/// (4).
constexpr std::size_t kBatchHeader = 12;

void note_record(Scan& scan, std::string_view batch_header) {
  if (batch_header.size() < kBatchHeader) return;
  const auto number = [&](std::size_t from, std::size_t bytes) {
    std::uint64_t sum = 0;
    while (bytes-- > 0) sum = (sum << 8) | static_cast<std::uint8_t>(batch_header[from + bytes]);
    return sum;
  };
  if (!scan.first) scan.first = number(0, 8);
  scan.next = number(0, 8) + number(8, 4);
}

/// Whether anything whole begins after the damage at `at`; what a write left that was cut short is not
/// followed.
bool anything_after(std::string_view log, std::uint64_t at) {
  for (std::size_t start = at / kBlock * kBlock; start < log.size(); start += kBlock) {
    const std::string_view block = log.substr(start, kBlock);
    for (std::size_t i = start < at ? at + 1 - start : 0; i + kHeader <= block.size(); ++i)
      if (fragment_at(block, i)) return true;
  }
  return false;
}

Scan damaged(Scan found, std::uint64_t at, bool torn_end) {
  found.damage = at;
  found.torn_end = torn_end;
  return found;
}

Scan scan(std::string_view log) {
  Scan found;
  bool inside = false;  // a record that has not ended
  std::uint64_t record = 0;
  std::string batch_header;  // of that record
  for (std::size_t start = 0; start < log.size(); start += kBlock) {
    const std::string_view block = log.substr(start, kBlock);
    std::size_t at = 0;
    while (at < block.size()) {
      const std::uint64_t offset = start + at;
      if (kBlock - at < kHeader) break;                            // the rest of a block
      if (block.find_first_not_of('\0', at) == block.npos) break;  // space set aside and never written
      if (!fragment_at(block, at)) {
        const bool cut = block.size() < kBlock && (block.size() - at < kHeader ||
                                                   header_at(block, at).length > block.size() - at - kHeader);
        return damaged(found, offset, cut && !length_damaged_at(block, at) && !anything_after(log, offset));
      }
      const Header header = header_at(block, at);
      const bool continues = header.type == middle || header.type == last;
      if (continues != inside) return damaged(found, inside ? record : offset, false);
      if (!inside) {
        record = offset;
        batch_header.clear();
      }
      batch_header += block.substr(at + kHeader,
                                   std::min<std::size_t>(header.length, kBatchHeader - batch_header.size()));
      inside = header.type == first || header.type == middle;
      if (!inside) note_record(found, batch_header);
      at += kHeader + header.length;
    }
  }
  return inside ? damaged(found, record, true) : found;
}

Result<std::string> read_file(const std::string& path, rocksdb::Env& env) {
  std::string content;
  const rocksdb::Status status = rocksdb::ReadFileToString(&env, path, &content);
  if (!status.ok()) return rocks_error(status, path);
  return content;
}

}  // namespace

Result<std::optional<WalDamage>> find_wal_damage(const std::string& directory, rocksdb::Env& env) {
  std::vector<std::string> names;
  const rocksdb::Status status = env.GetChildren(directory, &names);
  if (!status.ok()) return rocks_error(status, directory);
  std::erase_if(names, [](const std::string& name) {
    return !name.ends_with(".log") || name.find_first_not_of("0123456789") != name.size() - 4;
  });
  std::ranges::sort(names, {}, [](const std::string& name) { return std::pair(name.size(), name); });
  std::optional<WalDamage> damage;
  std::optional<std::uint64_t> next;
  for (const auto& name : names) {
    const std::string path = directory + "/" + name;
    const auto log = read_file(path, env);
    if (!log) return log.error();
    const Scan found = scan(*log);
    // A log with a torn end may still be there beside those written since it was dropped; they go on where it
    // ended.
    if (damage && next && found.first && *found.first != *next) {
      damage->torn_end = false;
      return damage;
    }
    if (found.damage) damage = WalDamage{path, *found.damage, found.torn_end};
    if (damage && !damage->torn_end) return damage;
    if (found.next) next = found.next;
  }
  return damage;
}

}  // namespace cx
