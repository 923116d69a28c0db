#pragma once

#include <optional>
#include <string_view>

namespace cx::liquid {

/// A piece of a template. Views go into the source.
struct Token {
  enum class Kind {
    end,
    text,
    output,     ///< {{ markup }}
    tag,        ///< {% name markup %}, or a line of {% liquid %}
    unclosed,   ///< {{ or {% without its end
    malformed,  ///< {% %} without a name
  };
  Kind kind = Kind::end;
  std::string_view raw;
  std::string_view name;
  std::string_view markup;
  bool trims_before = false;
  bool trims_after = false;
};

/// Cuts a template, or the lines of {% liquid %}, into tokens.
class Tokens {
 public:
  enum class Of { document, lines };

  Tokens(std::string_view source, Of of) : rest_(source), of_(of) {}

  Token next();

  /// For {% raw %} and {% doc %}, whose insides are not looked at: skips beyond the tag `end`.
  struct Skipped {
    std::string_view inside;
    bool trims_after = false;
    bool nested = false;  ///< there was another tag `begin`
  };
  std::optional<Skipped> skip_to(std::string_view end, std::string_view begin);

  bool lines() const { return of_ == Of::lines; }

 private:
  Token line();
  Token tag(std::size_t size);
  Token output();
  Token take(Token::Kind kind, std::size_t size);

  std::string_view rest_;
  Of of_;
};

}  // namespace cx::liquid
