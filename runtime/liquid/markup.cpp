#include "runtime/liquid/markup.hpp"

#include <charconv>
#include <fmt/format.h>

#include "runtime/liquid/filters.hpp"
#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

// Hashed and compared at every lookup.
constexpr std::size_t kMaxName = 255;
constexpr int kMaxNesting = 32;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t number_size(std::string_view text) {
  std::size_t n = text.starts_with('-') ? 1 : 0;
  const auto digits = n;
  while (n < text.size() && is_digit(text[n])) ++n;
  if (n == digits) return 0;
  if (n + 1 < text.size() && text[n] == '.' && is_digit(text[n + 1])) {
    ++n;
    while (n < text.size() && is_digit(text[n])) ++n;
  }
  return n;
}

Symbol punctuation(char c) {
  switch (c) {
    case '.':
      return Symbol::dot;
    case ':':
      return Symbol::colon;
    case ',':
      return Symbol::comma;
    case '|':
      return Symbol::pipe;
    case '[':
      return Symbol::open_square;
    case ']':
      return Symbol::close_square;
    case '(':
      return Symbol::open_round;
    case ')':
      return Symbol::close_round;
    default:
      return Symbol::stray;
  }
}

Operator comparison(std::string_view text) {
  if (text == "==") return Operator::equal;
  if (text == "!=" || text == "<>") return Operator::unequal;
  if (text == "<") return Operator::less;
  if (text == "<=") return Operator::less_equal;
  if (text == ">") return Operator::greater;
  return Operator::greater_equal;
}

}  // namespace

Markup::Markup(std::string_view markup, Names& names, Fault& fault)
    : markup_(markup), names_(names), fault_(fault), text_(markup.substr(0, 0)) {
  advance();
}

Markup::Lexeme Markup::lex(const char* from) const {
  auto rest = markup_.substr(static_cast<std::size_t>(from - markup_.data()));
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  const auto of = [&](Symbol symbol, std::size_t size) { return Lexeme{symbol, rest.substr(0, size)}; };
  if (rest.empty()) return of(Symbol::end, 0);
  const char c = rest[0];
  if (is_word(c) && !is_digit(c)) {
    std::size_t n = 1;
    while (n < rest.size() && (is_word(rest[n]) || rest[n] == '-')) ++n;
    if (n < rest.size() && rest[n] == '?') ++n;
    return of(Symbol::name, n);
  }
  if (const auto n = number_size(rest)) return of(Symbol::number, n);
  if (c == '"' || c == '\'') {
    const auto end = rest.find(c, 1);
    return end == std::string_view::npos ? of(Symbol::stray, 1) : of(Symbol::string, end + 1);
  }
  if (rest.starts_with("..")) return of(Symbol::dot_dot, 2);
  for (const std::string_view op : {"==", "!=", "<>", "<=", ">=", "<", ">"})
    if (rest.starts_with(op)) return of(Symbol::comparison, op.size());
  const auto symbol = punctuation(c);
  return of(symbol, symbol == Symbol::stray ? character_bytes(rest) : 1);
}

void Markup::advance() {
  if (fault_) {
    symbol_ = Symbol::end;
    return;
  }
  const auto next = lex(text_.data() + text_.size());
  symbol_ = next.symbol;
  text_ = next.text;
  if (symbol_ == Symbol::name && text_.size() > kMaxName)
    fail(fmt::format("a name may have {} bytes", kMaxName));
  if (symbol_ != Symbol::stray) return;
  if (text_ == "'" || text_ == "\"") {
    fail(fmt::format("the string that begins here has no closing {}", text_));
  } else {
    fail(fmt::format("'{}' means nothing here", text_));
  }
}

void Markup::fail(const char* at, std::string detail) {
  if (!fault_) fault_ = {at, std::move(detail), false};
  symbol_ = Symbol::end;
}

void Markup::fail(std::string detail) {
  fail(text_.data(), std::move(detail));
}

std::string Markup::found() const {
  return at_end() ? std::string("the end of it") : fmt::format("'{}'", text_.substr(0, 40));
}

bool Markup::looking_at_argument() const {
  return symbol_ == Symbol::name && lex(text_.data() + text_.size()).symbol == Symbol::colon;
}

bool Markup::take(Symbol symbol) {
  if (symbol_ != symbol) return false;
  advance();
  return true;
}

bool Markup::take(std::string_view name) {
  if (symbol_ != Symbol::name || text_ != name) return false;
  advance();
  return true;
}

std::string_view Markup::take_name() {
  const auto name = text_;
  expect(Symbol::name, "a name");
  return name;
}

std::string Markup::compact_since(const char* from) const {
  std::string out;
  char quote = 0;
  for (const char* at = from; at < text_.data(); ++at) {
    if (quote ? *at == quote : *at == '"' || *at == '\'') quote = quote ? 0 : *at;
    if (quote || !is_space(*at)) out += *at;
  }
  return out;
}

void Markup::expect(Symbol symbol, std::string_view what) {
  if (!fault_ && !take(symbol)) fail(fmt::format("expected {}, found {}", what, found()));
}

void Markup::expect_end() {
  if (!at_end()) fail(fmt::format("{} is more than was expected here", found()));
}

Expression Markup::expression() {
  return parse(false);
}
Expression Markup::operand() {
  return parse(true);
}

Expression Markup::parse(bool questions) {
  Expression expression;
  expression.at = text_.data();
  if (++depth_ > kMaxNesting) fail("brackets are nested too deep");
  if (symbol_ == Symbol::string) {
    expression.what = Value::borrowed(text_.substr(1, text_.size() - 2));
    advance();
  } else if (symbol_ == Symbol::number) {
    expression.what = number();
    advance();
  } else if (take(Symbol::open_round)) {
    Between between;
    between.first = std::make_unique<Expression>(parse(false));
    expect(Symbol::dot_dot, "'..'");
    between.last = std::make_unique<Expression>(parse(false));
    expect(Symbol::close_round, "')'");
    for (const auto* end : {between.first.get(), between.last.get()})
      if (const auto* value = std::get_if<Value>(&end->what); value && value->as<bool>())
        fail(end->at, "a range goes from a whole number to a whole number");
    expression.what = std::move(between);
  } else if (symbol_ == Symbol::name || symbol_ == Symbol::open_square) {
    expression = literal_or_lookup(questions);
  } else {
    fail(fmt::format("expected a value, found {}", found()));
  }
  --depth_;
  return expression;
}

Expression Markup::literal_or_lookup(bool questions) {
  Expression expression;
  expression.at = text_.data();
  Lookup lookup;
  if (symbol_ == Symbol::name) {
    lookup.name = text_;
    advance();
  } else {
    advance();
    lookup.root = std::make_unique<Expression>(parse(false));
    expect(Symbol::close_square, "']'");
  }
  steps(lookup);
  if (lookup.name.empty() || !lookup.steps.empty()) {
    names_.read(lookup);
    expression.what = std::move(lookup);
  } else if (lookup.name == "nil" || lookup.name == "null") {
    expression.what = Value();
  } else if (lookup.name == "true" || lookup.name == "false") {
    expression.what = Value(lookup.name == "true");
  } else if (lookup.name == "blank" || lookup.name == "empty") {
    const auto question = lookup.name == "blank" ? Question::blank : Question::empty;
    expression.what = questions ? Value(question) : Value::borrowed("");
  } else {
    names_.read(lookup);
    expression.what = std::move(lookup);
  }
  return expression;
}

void Markup::steps(Lookup& lookup) {
  while (!fault_) {
    Step step;
    if (take(Symbol::dot)) {
      step.name = take_name();
    } else if (take(Symbol::open_square)) {
      step.index = std::make_unique<Expression>(parse(false));
      expect(Symbol::close_square, "']'");
    } else {
      return;
    }
    lookup.steps.push_back(std::move(step));
  }
}

Value Markup::number() const {
  const auto* end = text_.data() + text_.size();
  std::int64_t whole = 0;
  const auto done = std::from_chars(text_.data(), end, whole);
  if (done.ec == std::errc() && done.ptr == end) return Value(whole);
  double real = 0;
  std::from_chars(text_.data(), end, real);
  return Value(real);
}

Condition Markup::condition() {
  Condition condition;
  do {
    Comparison part;
    part.left = operand();
    if (symbol_ == Symbol::comparison) {
      part.op = comparison(text_);
      advance();
    } else if (take("contains")) {
      part.op = Operator::contains;
    }
    if (part.op != Operator::none) part.right = operand();
    part.and_then = symbol_ == Symbol::name && text_ == "and";
    condition.push_back(std::move(part));
  } while (!fault_ && (take("and") || take("or")));
  return condition;
}

Filtered Markup::filtered() {
  Filtered filtered;
  filtered.value.at = text_.data();
  if (at_end()) return filtered;
  filtered.value = expression();
  while (!fault_ && take(Symbol::pipe)) {
    FilterCall call;
    call.at = text_.data();
    const auto name = take_name();
    if (fault_) break;
    call.filter = find_filter(name);
    if (!call.filter) {
      fail(call.at, fmt::format("there is no filter '{}'", name));
      break;
    }
    arguments(call, name);
    filtered.filters.push_back(std::move(call));
  }
  return filtered;
}

void Markup::arguments(FilterCall& call, std::string_view name) {
  if (take(Symbol::colon)) {
    do {
      if (!looking_at_argument()) {
        call.arguments.push_back(expression());
        continue;
      }
      const auto* at = text_.data();
      const auto argument = take_name();
      take(Symbol::colon);
      if (!call.filter->allows_false || argument != "allow_false")
        return fail(at, fmt::format("the filter '{}' has no argument named '{}'", name, argument));
      call.allow_false = expression();
    } while (!fault_ && take(Symbol::comma));
  }
  const auto n = call.arguments.size();
  const auto& filter = *call.filter;
  if (n >= filter.least && n <= filter.most) return;
  const auto takes = filter.least == filter.most ? std::to_string(filter.most)
                                                 : fmt::format("{} to {}", filter.least, filter.most);
  fail(call.at, fmt::format("the filter '{}' takes {} argument{}, not {}", name, takes,
                            filter.most == 1 ? "" : "s", n));
}

}  // namespace cx::liquid
