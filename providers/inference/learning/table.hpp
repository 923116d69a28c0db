#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

namespace cx::inference::learning {

inline constexpr std::uint32_t kMissing = UINT32_MAX;

/// A column of a table as a dictionary.
struct TableColumn {
  std::string name;
  std::vector<std::string> words;    ///< distinct values in order of appearance; none is empty
  std::vector<double> numbers;       ///< of each word, where all of them are numbers; else empty
  std::vector<std::uint32_t> codes;  ///< a row each: which word, or kMissing for an empty value

  bool is_number() const { return !numbers.empty(); }
};

/// Typed by content: a column of which every value that is not empty is a number is one of numbers, any other
/// one of categories.
struct Table {
  std::vector<TableColumn> columns;
  std::uint32_t rows = 0;
  std::uint64_t hash = 0;  ///< XXH3 of the text that it was read from, unpacked

  /// Null where there is none of this name.
  const TableColumn* column(std::string_view name) const;
};

/// What a file may ask for before it is refused.
struct TableLimits {
  std::uint64_t bytes = std::uint64_t{1} << 30;  ///< unpacked
  std::uint64_t rows = 10'000'000, columns = 1'000, cells = 100'000'000;
  std::size_t field = 1 << 16;  ///< bytes of one value
};

/// Reads CSV (RFC 4180: values in double quotes may hold commas, newlines and doubled quotes; lines end in LF
/// or CRLF; a byte order mark is skipped), of which the first line names the columns. Empty lines are skipped
/// where there is more than one column. Errors are "NAME:LINE:COLUMN: ..." (from 1; COLUMN counts bytes).
Result<Table> parse_table(std::string_view text, const std::string& name, const TableLimits& limits = {});

/// The same of a file, unpacked where it is gzip; "-" is stdin.
Result<Table> read_table(const std::string& path, const TableLimits& limits = {});

/// A finite decimal number, without blanks.
bool parse_number(std::string_view word, double& number);

}  // namespace cx::inference::learning
