#pragma once

#include <string>
#include <string_view>

#include "runtime/liquid/names.hpp"
#include "runtime/liquid/tree.hpp"

namespace cx::liquid {

/// The first thing that is wrong with a template.
struct Fault {
  const char* at = nullptr;  ///< in the source; null: nothing is wrong
  std::string detail;
  bool limit = false;

  explicit operator bool() const { return at != nullptr; }
};

enum class Symbol {
  end,
  name,
  number,
  string,
  comparison,
  dot_dot,
  dot,
  colon,
  comma,
  pipe,
  open_square,
  close_square,
  open_round,
  close_round,
  stray,  ///< a character that means nothing here
};

/// Reads what is inside of a tag or an output. After a fault it is at its end, and what it returns means
/// nothing.
class Markup {
 public:
  Markup(std::string_view markup, Names& names, Fault& fault);

  bool at_end() const { return symbol_ == Symbol::end; }
  bool looking_at(Symbol symbol) const { return symbol_ == symbol; }
  /// A name that is followed by a colon: what named arguments begin with.
  bool looking_at_argument() const;
  bool take(Symbol symbol);
  /// A certain name, such as "in" or "limit".
  bool take(std::string_view name);
  std::string_view take_name();
  /// What was read since `from`, a place that here() gave, without spaces outside of quotes.
  std::string compact_since(const char* from) const;
  const char* here() const { return text_.data(); }

  Expression expression();
  /// The same where `blank` and `empty` are questions.
  Expression operand();
  Condition condition();
  Filtered filtered();

  void expect(Symbol symbol, std::string_view what);
  void expect_end();
  void fail(std::string detail);
  void fail(const char* at, std::string detail);

 private:
  struct Lexeme {
    Symbol symbol = Symbol::end;
    std::string_view text;
  };
  Lexeme lex(const char* from) const;
  void advance();
  Expression parse(bool questions);
  Expression literal_or_lookup(bool questions);
  void steps(Lookup& lookup);
  Value number() const;
  void arguments(FilterCall& call, std::string_view name);
  std::string found() const;

  std::string_view markup_;
  Names& names_;
  Fault& fault_;
  Symbol symbol_ = Symbol::end;
  std::string_view text_;
  int depth_ = 0;
};

}  // namespace cx::liquid
