#include "providers/inference/learning/table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/core.h>
#include <memory>
#include <optional>
#include <simdjson.h>
#include <unordered_map>
#include <xxhash.h>

#include "providers/inference/learning/packed.hpp"

namespace cx::inference::learning {
namespace {

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

/// Takes a file in pieces of any size.
class Parser {
 public:
  Parser(const std::string& name, const TableLimits& limits) : name_(name), limits_(limits) {
    XXH3_64bits_reset(hash_.get());
  }

  std::optional<Error> feed(std::string_view text) {
    bytes_ += text.size();
    XXH3_64bits_update(hash_.get(), text.data(), text.size());
    if (bytes_ > limits_.bytes)
      return wrong(fmt::format("the table is longer than {} MiB", limits_.bytes >> 20));
    for (const char c : text) {
      ++column_;
      if (bom_ < 3 && c == "\xEF\xBB\xBF"[bom_]) {
        if (++bom_ == 3) column_ = 0;
        continue;
      }
      if (bom_ < 3) {
        if (bom_ > 0) return wrong(kNotText);
        bom_ = 3;
      }
      if (auto error = take(c)) return error;
    }
    return {};
  }

  Result<Table> finish() {
    if (state_ == State::quoted) {
      line_ = quote_line_, column_ = quote_column_;
      return *wrong("the quote that opens here is not closed by the end");
    }
    if (state_ == State::cr) return *wrong(kBareReturn);
    if (state_ != State::start || !row_.empty())
      if (auto error = end_line()) return std::move(*error);
    if (table_.columns.empty()) return *wrong("the table is empty: its first line has to name the columns");
    if (table_.rows == 0) return *wrong("the table has no rows below the names of its columns");
    for (auto& column : table_.columns) type(column);
    table_.hash = XXH3_64bits_digest(hash_.get());
    return std::move(table_);
  }

 private:
  enum class State {
    start,
    plain,
    quoted,
    quote,
    cr
  };  ///< quote: behind one inside quotes; start: of a value
  static constexpr const char* kNotText = "this is not UTF-8 text: convert it, as in iconv -f latin1 -t utf8";
  static constexpr const char* kBareReturn = "a carriage return that no newline follows";

  std::optional<Error> wrong(const std::string& what) const {
    return Error{Code::invalid_argument, "malformed-table",
                 fmt::format("{}:{}:{}: {}", name_, line_, column_, what), ""};
  }

  std::optional<Error> take(char c) {
    switch (state_) {
      case State::cr:
        if (c != '\n') return wrong(kBareReturn);
        return end_line();
      case State::quoted:
        if (c == '"')
          state_ = State::quote;
        else
          return add(c);
        return {};
      case State::quote:
        if (c == '"') {
          state_ = State::quoted;
          return add(c);
        }
        break;
      case State::start:
        if (c == '"') {
          state_ = State::quoted;
          quote_line_ = line_, quote_column_ = column_;
          return {};
        }
        break;
      case State::plain:
        if (c == '"')
          return wrong(
              "a quote inside a value that does not begin with one: quote the whole value, and double "
              "the quotes in it");
        break;
    }
    if (c == ',') return end_value();
    if (c == '\n') return end_line();
    if (c == '\r') {
      state_ = State::cr;
      return {};
    }
    if (state_ == State::quote)
      return wrong("something follows a closing quote: a comma or a newline has to");
    state_ = State::plain;
    return add(c);
  }

  std::optional<Error> add(char c) {
    if (c == '\0') return wrong(kNotText);
    if (value_.size() >= limits_.field)
      return wrong(fmt::format("a value is longer than {} bytes", limits_.field));
    value_.push_back(c);
    if (c == '\n') ++line_, column_ = 0;
    return {};
  }

  /// Values of a line are kept until it ends, as positions in one text.
  std::optional<Error> end_value() {
    if (row_.size() >= limits_.columns) return wrong(fmt::format("more than {} columns", limits_.columns));
    if (!simdjson::validate_utf8(value_.data(), value_.size())) return wrong(kNotText);
    line_text_ += value_;
    row_.push_back(line_text_.size());
    value_.clear();
    state_ = State::start;
    return {};
  }

  std::optional<Error> end_line() {
    const bool blank = row_.empty() && value_.empty() && state_ != State::quote;
    const bool skipped = blank && table_.columns.size() != 1;
    if (!skipped) {
      if (auto error = end_value()) return error;
      if (auto error = table_.columns.empty() ? heads() : row()) return error;
    }
    row_.clear();
    line_text_.clear();
    state_ = State::start;
    ++line_, column_ = 0;
    return {};
  }

  std::string_view value(std::size_t i) const {
    const auto begin = i == 0 ? 0 : row_[i - 1];
    return std::string_view(line_text_).substr(begin, row_[i] - begin);
  }

  std::optional<Error> heads() {
    for (std::size_t i = 0; i < row_.size(); ++i) {
      const auto head = std::string(value(i));
      if (head.empty()) return wrong(fmt::format("column {} has no name", i + 1));
      if (table_.column(head) != nullptr) return wrong(fmt::format("two columns are called {}", head));
      table_.columns.emplace_back().name = head;
    }
    codes_.resize(row_.size());
    return {};
  }

  std::optional<Error> row() {
    if (row_.size() != table_.columns.size())
      return wrong(fmt::format("the line has {} values, and the first line names {} columns", row_.size(),
                               table_.columns.size()));
    if (table_.rows >= limits_.rows || (table_.rows + 1ull) * row_.size() > limits_.cells)
      return wrong(fmt::format("more than {} rows of {} columns: take a sample", table_.rows, row_.size()));
    for (std::size_t i = 0; i < row_.size(); ++i) {
      auto& column = table_.columns[i];
      const auto word = value(i);
      auto code = kMissing;
      if (!word.empty()) {
        const auto known = codes_[i].find(word);
        if (known != codes_[i].end()) {
          code = known->second;
        } else {
          code = static_cast<std::uint32_t>(column.words.size());
          column.words.emplace_back(word);
          codes_[i].emplace(word, code);
        }
      }
      column.codes.push_back(code);
    }
    ++table_.rows;
    return {};
  }

  static void type(TableColumn& column) {
    for (const auto& word : column.words) {
      double number = 0;
      if (!parse_number(word, number)) {
        column.numbers.clear();
        return;
      }
      column.numbers.push_back(number);
    }
  }

  const std::string& name_;
  const TableLimits& limits_;
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> hash_{XXH3_createState(),
                                                                              XXH3_freeState};
  Table table_;
  std::vector<std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>>> codes_;
  State state_ = State::start;
  std::string value_, line_text_;
  std::vector<std::size_t> row_;
  std::uint64_t bytes_ = 0, line_ = 1, column_ = 0, quote_line_ = 0, quote_column_ = 0;
  std::size_t bom_ = 0;
};

}  // namespace

const TableColumn* Table::column(std::string_view name) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](auto& c) { return c.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

bool parse_number(std::string_view word, double& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size() && std::isfinite(number);
}

Result<Table> parse_table(std::string_view text, const std::string& name, const TableLimits& limits) {
  Parser parser(name, limits);
  if (auto error = parser.feed(text)) return std::move(*error);
  return parser.finish();
}

Result<Table> read_table(const std::string& path, const TableLimits& limits) {
  const auto name = path == "-" ? std::string("stdin") : path;
  Parser parser(name, limits);
  if (auto error = read_packed(path, [&](std::string_view text) { return parser.feed(text); }))
    return std::move(*error);
  return parser.finish();
}

}  // namespace cx::inference::learning
