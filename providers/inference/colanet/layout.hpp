#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "providers/inference/colanet/network.hpp"

/// Where things are in a model file; MODEL.md says the same in words. Used by what reads and writes it.
namespace cx::inference::colanet::layout {

static_assert(std::endian::native == std::endian::little, "a model file is read as it is");

inline constexpr std::array<char, 8> kMagic{'C', 'o', 'L', 'a', 'N', 'e', 't', '\n'};
inline constexpr std::uint32_t kVersion = 1;

/// The first bytes of a file.
struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t reserved = 0;
  std::uint64_t size = 0;  // of the file
  std::uint64_t hash = 0;  // XXH3 (64 bits, seed 0) of all bytes from `inputs` to the end of the file
  std::uint32_t inputs = 0;
  std::uint32_t micro = kMicro;
  std::uint32_t ticks = kTicks;
  std::uint32_t columns = 0;
  std::int16_t inhibition = 0;
  std::uint16_t reserved2 = 0;
  std::int32_t threshold = kThreshold;
  std::uint64_t schema_hash = 0;
  std::uint64_t data_hash = 0;
  std::uint64_t parent = 0;
  std::int64_t created_unix_ms = 0;
  double a = 1;
  double b = 0;
  double sampling = 1;
  std::uint32_t name_size = 0;
  std::uint32_t schema_size = 0;
  std::uint32_t offers = 0;
  std::uint32_t golden = 0;
  std::uint64_t ids_size = 0;
  std::array<std::uint8_t, 120> zero{};
};
static_assert(sizeof(Header) == 256 && std::is_trivially_copyable_v<Header>);
static_assert(offsetof(Header, inputs) == 32 && offsetof(Header, schema_hash) == 56);
static_assert(offsetof(Header, name_size) == 112 && offsetof(Header, zero) == 136);

inline constexpr std::size_t kHashedFrom = offsetof(Header, inputs);

/// What one golden vector takes: column (u32), zero (u32), z (i64), inputs.
constexpr std::size_t golden_size(std::uint32_t inputs) {
  return 16 + std::size_t{inputs} * sizeof(float);
}

/// Where each section begins, and where the file ends.
struct Sections {
  std::size_t name, schema, entries, ids, offsets, block, golden, end;
};

/// Of a header whose counts are within their bounds: with those, no number here comes near 2^64.
constexpr Sections sections_of(const Header& header) {
  constexpr auto aligned = [](std::size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; };
  Sections s{};
  s.name = sizeof(Header);
  s.schema = aligned(s.name + header.name_size);
  s.entries = aligned(s.schema + header.schema_size);
  s.ids = aligned(s.entries + std::size_t{header.offers} * 8);
  s.offsets = aligned(s.ids + header.ids_size);
  s.block = aligned(s.offsets + std::size_t{header.columns} * 8);
  s.golden = s.block + std::size_t{header.columns} * column_size(header.inputs) * sizeof(std::int16_t);
  s.end = s.golden + std::size_t{header.golden} * golden_size(header.inputs);
  return s;
}

/// What is wrong with a header's dimensions and counts, or nothing. With it, sections_of may be asked.
std::optional<std::string> problem_of(const Header& header);

}  // namespace cx::inference::colanet::layout
