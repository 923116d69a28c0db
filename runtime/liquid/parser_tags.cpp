#include <fmt/format.h>

#include "runtime/liquid/parser.hpp"
#include "runtime/liquid/text.hpp"

/// Tags without a body.
namespace cx::liquid {
namespace {

constexpr std::size_t kMaxArguments = 64;

}  // namespace

Parser::Parsed Parser::parse_echo(const Token& tag, Tokens&) {
  auto node = std::make_unique<OutputNode>();
  auto markup = markup_of(tag);
  node->value = markup.filtered();
  markup.expect_end();
  return {std::move(node), false};
}

Parser::Parsed Parser::parse_assign(const Token& tag, Tokens&) {
  auto node = std::make_unique<AssignNode>();
  auto rest = tag.markup;
  node->name = target_of(rest);
  check_name(node->name);
  rest.remove_prefix(node->name.size());
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  if (node->name.empty() || !rest.starts_with('=')) {
    fail(tag.raw, "an assignment reads {% assign name = value %}; a name is of letters, digits, '_' and '-'");
    return {};
  }
  Markup markup(rest.substr(1), names_, fault_);
  node->value = markup.filtered();
  markup.expect_end();
  names_.set(node->name);
  return {std::move(node), true};
}

Parser::Parsed Parser::parse_cycle(const Token& tag, Tokens&) {
  auto node = std::make_unique<CycleNode>();
  auto markup = markup_of(tag);
  if (markup.at_end()) fail(tag.raw, "'cycle' needs values: {% cycle 'odd', 'even' %}");
  const auto* from = markup.here();
  auto first = markup.expression();
  if (markup.take(Symbol::colon)) {
    node->name = std::move(first);
    node->values.push_back(markup.expression());
  } else {
    node->values.push_back(std::move(first));
  }
  while (markup.take(Symbol::comma) && !markup.at_end()) node->values.push_back(markup.expression());
  markup.expect_end();
  node->key = markup.compact_since(from);
  return {std::move(node), false};
}

Parser::Parsed Parser::parse_counter(const Token& tag, Tokens&) {
  auto node = std::make_unique<CounterNode>();
  node->down = tag.name == "decrement";
  node->name = liquid::trim(tag.markup);
  check_name(node->name);
  names_.set(node->name);
  return {std::move(node), false};
}

Parser::Parsed Parser::parse_interrupt(const Token& tag, Tokens&) {
  auto node = std::make_unique<InterruptNode>();
  node->breaks = tag.name == "break";
  return {std::move(node), false};
}

Parser::Parsed Parser::parse_partial(const Token& tag, Tokens&) {
  auto node = std::make_unique<PartialNode>();
  node->isolated = tag.name == "render";
  auto markup = markup_of(tag);
  if (node->isolated && !markup.looking_at(Symbol::string))
    markup.fail("'render' needs the name of a template in quotes: {% render 'footer' %}");
  node->name = markup.expression();
  if (const auto* name = std::get_if<Value>(&node->name.what); name && name->as<Text>())
    names_.ask_for_partial(name->as<Text>()->view);
  if (!markup.looking_at_argument()) {
    node->each = markup.take("for");
    if (node->each || markup.take("with")) node->with = markup.expression();
  }
  if (!markup.looking_at_argument() && markup.take("as")) node->alias = markup.take_name();
  while (!markup.at_end()) {
    if (markup.take(Symbol::comma)) continue;
    const auto name = markup.take_name();
    markup.expect(Symbol::colon, "':'");
    node->arguments.emplace_back(name, markup.expression());
    if (node->arguments.size() > kMaxArguments)
      markup.fail(fmt::format("a partial takes {} arguments", kMaxArguments));
  }
  return {std::move(node), false};
}

Parser::Parsed Parser::parse_line_comment(const Token& tag, Tokens&) {
  const auto text = tag.markup;
  for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at)) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at < text.size() && text[at] != '#')
      fail(text.substr(at), "every line of this comment must begin with '#'");
  }
  return {nullptr, true};
}

}  // namespace cx::liquid
