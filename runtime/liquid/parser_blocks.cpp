#include <fmt/format.h>

#include "runtime/liquid/parser.hpp"
#include "runtime/liquid/text.hpp"

/// Tags that have a body.
namespace cx::liquid {
namespace {

bool is_part(const Token& stop, std::string_view name) {
  return stop.kind == Token::Kind::tag && stop.name == name;
}

// The next run of characters without spaces, commas or pipes, quoted strings taken as one; `rest` is moved
// behind it. Empty: there is none. This is how the reference implementation reads `case` and `when`.
std::string_view take_fragment(std::string_view& rest) {
  const auto piece = [&](std::size_t at) -> std::size_t {
    const char c = rest[at];
    if (is_space(c) || c == ',' || c == '|') return 0;
    if (c != '"' && c != '\'') return 1;
    const auto end = rest.find(c, at + 1);
    return end == std::string_view::npos ? 0 : end + 1 - at;
  };
  std::size_t begin = 0;
  while (begin < rest.size() && piece(begin) == 0) ++begin;
  std::size_t end = begin;
  while (end < rest.size() && piece(end) > 0) end += piece(end);
  const auto fragment = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return fragment;
}

std::string_view skip_space(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

// Moves `rest` behind a comma or an `or` between two values; false if there is none.
bool take_separator(std::string_view& rest) {
  auto next = skip_space(rest);
  if (next.starts_with(',')) {
    next.remove_prefix(1);
  } else if (next.size() < rest.size() && next.size() > 2 && next.starts_with("or") && is_space(next[2])) {
    next.remove_prefix(2);
  } else {
    return false;
  }
  rest = skip_space(next);
  return !rest.empty();
}

}  // namespace

Parser::Parsed Parser::parse_if(const Token& tag, Tokens& tokens) {
  auto node = std::make_unique<IfNode>();
  node->unless = tag.name == "unless";
  bool blank = true;
  Token part = tag;
  while (!fault_) {
    auto branch = std::make_unique<IfNode::Branch>();
    if (part.name != "else") {
      auto markup = markup_of(part);
      branch->condition = markup.condition();
      markup.expect_end();
    }
    part = parse_body(branch->body, tokens);
    blank = blank && branch->body.blank;
    node->branches.push_back(std::move(branch));
    if (is_part(part, "else") || is_part(part, "elsif")) continue;
    expect_end(part, tag);
    break;
  }
  if (blank)
    for (auto& branch : node->branches) branch->body.drop_space();
  return {std::move(node), blank};
}

void Parser::parse_when(CaseNode::Branch& branch, const Token& tag) {
  auto rest = tag.markup;
  do {
    const auto fragment = take_fragment(rest);
    if (fragment.empty()) return fail(tag.raw, "'when' needs a value: {% when 'a' or 'b' %}");
    Markup markup(fragment, names_, fault_);
    branch.values.push_back(markup.operand());
    markup.expect_end();
  } while (!fault_ && take_separator(rest));
}

Parser::Parsed Parser::parse_case(const Token& tag, Tokens& tokens) {
  auto node = std::make_unique<CaseNode>();
  auto rest = tag.markup;
  const auto value = take_fragment(rest);
  if (value.empty()) fail(tag.raw, "'case' needs a value: {% case color %}");
  Markup markup(value, names_, fault_);
  node->value = markup.expression();
  markup.expect_end();
  Body before;  // what is between `case` and the first `when` is not rendered
  auto part = parse_body(before, tokens);
  bool blank = before.blank;
  while (!fault_ && (is_part(part, "when") || is_part(part, "else"))) {
    auto branch = std::make_unique<CaseNode::Branch>();
    branch->otherwise = part.name == "else";
    if (!branch->otherwise) {
      parse_when(*branch, part);
    } else if (!skip_space(part.markup).empty()) {
      fail(part.markup, "'else' of a 'case' takes no condition");
    }
    part = parse_body(branch->body, tokens);
    blank = blank && branch->body.blank;
    node->branches.push_back(std::move(branch));
  }
  expect_end(part, tag);
  if (blank)
    for (auto& branch : node->branches) branch->body.drop_space();
  return {std::move(node), blank};
}

Parser::Parsed Parser::parse_for(const Token& tag, Tokens& tokens) {
  auto node = std::make_unique<ForNode>();
  auto markup = markup_of(tag);
  node->variable = markup.take_name();
  if (!markup.take("in")) markup.fail("a loop reads {% for item in items %}: 'in' is missing");
  const auto* collection = markup.here();
  node->collection = markup.expression();
  node->name = fmt::format("{}-{}", node->variable, markup.compact_since(collection));
  node->reversed = markup.take("reversed");
  while (!markup.at_end()) {
    if (markup.take(Symbol::comma)) continue;
    const bool offset = markup.take("offset");
    if (!offset && !markup.take("limit"))
      markup.fail("expected 'limit: …', 'offset: …', or 'reversed' before these");
    markup.expect(Symbol::colon, "':'");
    if (offset && markup.take("continue")) {
      node->proceed = true;
    } else {
      (offset ? node->offset : node->limit) = markup.expression();
    }
  }
  names_.enter(node->variable);
  names_.enter("forloop");
  auto part = parse_body(node->body, tokens);
  names_.leave();
  names_.leave();
  if (is_part(part, "else")) part = parse_body(node->otherwise, tokens);
  expect_end(part, tag);
  const bool blank = node->body.blank && node->otherwise.blank;
  if (blank) {
    node->body.drop_space();
    node->otherwise.drop_space();
  }
  return {std::move(node), blank};
}

Parser::Parsed Parser::parse_table_row(const Token& tag, Tokens& tokens) {
  auto node = std::make_unique<TableRowNode>();
  auto markup = markup_of(tag);
  node->variable = markup.take_name();
  if (!markup.take("in")) markup.fail("a table reads {% tablerow item in items %}: 'in' is missing");
  node->collection = markup.expression();
  while (!markup.at_end()) {
    if (markup.take(Symbol::comma)) continue;
    auto* attribute = markup.take("cols")     ? &node->columns
                      : markup.take("limit")  ? &node->limit
                      : markup.take("offset") ? &node->offset
                                              : nullptr;
    if (!attribute) {
      markup.fail("expected 'cols: …', 'limit: …' or 'offset: …'");
      break;
    }
    markup.expect(Symbol::colon, "':'");
    *attribute = markup.expression();
  }
  names_.enter(node->variable);
  names_.enter("tablerowloop");
  const auto stop = parse_body(node->body, tokens);
  names_.leave();
  names_.leave();
  expect_end(stop, tag);
  const bool blank = node->body.blank;
  return {std::move(node), blank};
}

Parser::Parsed Parser::parse_if_changed(const Token& tag, Tokens& tokens) {
  auto node = std::make_unique<IfChangedNode>();
  expect_end(parse_body(node->body, tokens), tag);
  const bool blank = node->body.blank;
  return {std::move(node), blank};
}

Parser::Parsed Parser::parse_capture(const Token& tag, Tokens& tokens) {
  auto node = std::make_unique<CaptureNode>();
  auto name = tag.markup;  // its name may be in quotes
  while (!name.empty() && target_of(name).empty()) name.remove_prefix(1);
  node->name = target_of(name);
  if (name.empty()) fail(tag.raw, "'capture' needs a name: {% capture greeting %}");
  check_name(node->name);
  expect_end(parse_body(node->body, tokens), tag);
  names_.set(node->name);
  return {std::move(node), true};
}

Parser::Parsed Parser::parse_comment(const Token& tag, Tokens& tokens) {
  int open = 1;
  while (open > 0) {
    const auto token = tokens.next();
    if (token.kind == Token::Kind::end) {
      expect_end(token, tag);
      break;
    }
    if (token.kind != Token::Kind::tag) continue;
    if (token.name == "comment") ++open;
    if (token.name == "endcomment") --open;
    if (token.name == "raw" && !tokens.skip_to("endraw", {}))
      fail(token.raw, "'raw' is not closed: add {% endraw %}");
    if (fault_) break;
    if (open == 0 && !tokens.lines()) trim_next_ = token.trims_after;
  }
  return {nullptr, true};
}

Parser::Parsed Parser::parse_raw(const Token& tag, Tokens& tokens) {
  if (!tag.markup.empty()) fail(tag.markup, "'raw' takes nothing");
  const auto skipped = tokens.skip_to("endraw", {});
  if (!skipped) {
    fail(tag.raw, tokens.lines() ? "'raw' cannot be used inside of 'liquid'"
                                 : "'raw' is not closed: add {% endraw %}");
    return {};
  }
  trim_next_ = skipped->trims_after;
  auto node = std::make_unique<TextNode>();
  node->text = skipped->inside;
  return {std::move(node), skipped->inside.empty()};
}

Parser::Parsed Parser::parse_doc(const Token& tag, Tokens& tokens) {
  if (!tag.markup.empty()) fail(tag.markup, "'doc' takes nothing");
  const auto skipped = tokens.skip_to("enddoc", "doc");
  if (!skipped || skipped->nested) {
    fail(tag.raw, skipped ? "'doc' cannot be inside of 'doc'" : "'doc' is not closed: add {% enddoc %}");
    return {};
  }
  trim_next_ = skipped->trims_after;
  return {nullptr, skipped->inside.empty()};
}

}  // namespace cx::liquid
