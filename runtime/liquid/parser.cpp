#include "runtime/liquid/parser.hpp"

#include <fmt/format.h>

#include "runtime/liquid/text.hpp"

/// Bodies: text, outputs and tags in their order. The tags are in parser_blocks.cpp and parser_tags.cpp.
namespace cx::liquid {
namespace {

bool is_blank(std::string_view text) {
  for (const char c : text)
    if (!is_space(c)) return false;
  return true;
}

}  // namespace

Parser::TagParser Parser::parser_of(std::string_view tag) {
  struct Entry {
    std::string_view tag;
    TagParser parser;
  };
  static constexpr Entry kTags[] = {
      {"#", &Parser::parse_line_comment},
      {"assign", &Parser::parse_assign},
      {"break", &Parser::parse_interrupt},
      {"capture", &Parser::parse_capture},
      {"case", &Parser::parse_case},
      {"comment", &Parser::parse_comment},
      {"continue", &Parser::parse_interrupt},
      {"cycle", &Parser::parse_cycle},
      {"decrement", &Parser::parse_counter},
      {"doc", &Parser::parse_doc},
      {"echo", &Parser::parse_echo},
      {"for", &Parser::parse_for},
      {"if", &Parser::parse_if},
      {"ifchanged", &Parser::parse_if_changed},
      {"include", &Parser::parse_partial},
      {"increment", &Parser::parse_counter},
      {"raw", &Parser::parse_raw},
      {"render", &Parser::parse_partial},
      {"tablerow", &Parser::parse_table_row},
      {"unless", &Parser::parse_if},
  };
  for (const auto& entry : kTags)
    if (entry.tag == tag) return entry.parser;
  return nullptr;
}

Fault Parser::parse() {
  Tokens tokens(tree_.source, Tokens::Of::document);
  const auto stop = parse_body(tree_.body, tokens);
  if (!fault_ && stop.kind != Token::Kind::end) refuse(stop);
  tree_.variables = names_.reads();
  tree_.partials = names_.partials();
  return std::move(fault_);
}

Token Parser::parse_body(Body& body, Tokens& tokens) {
  last_text_ = nullptr;
  if (++depth_ > tree_.limits.depth)
    fail(here_, fmt::format("blocks are nested deeper than {}", tree_.limits.depth), true);
  Token token;
  while (!fault_) {
    token = tokens.next();
    if (token.kind == Token::Kind::end) break;
    here_ = token.raw;
    if (token.kind == Token::Kind::text) {
      auto node = std::make_unique<TextNode>();
      node->at = token.raw.data();
      node->text = trim_next_ ? trim_left(token.raw) : token.raw;
      trim_next_ = false;
      body.blank = body.blank && is_blank(node->text);
      last_text_ = node.get();
      body.nodes.push_back(std::move(node));
      continue;
    }
    if (!tokens.lines()) trim(token);
    if (token.kind == Token::Kind::output) {
      auto markup = markup_of(token);
      auto node = std::make_unique<OutputNode>();
      node->at = token.raw.data();
      node->value = markup.filtered();
      markup.expect_end();
      body.blank = false;
      body.nodes.push_back(std::move(node));
    } else if (token.kind == Token::Kind::unclosed) {
      fail(token.raw,
           token.raw.starts_with("{{") ? "this {{ is not closed: add }}" : "this {% is not closed: add %}");
    } else if (token.kind == Token::Kind::malformed) {
      fail(token.raw, "this tag has no name");
    } else if (token.name == "liquid") {
      parse_lines(body, token);
    } else if (parser_of(token.name)) {
      parse_tag(body, token, tokens);
    } else {
      break;
    }
    last_text_ = nullptr;
  }
  --depth_;
  return token;
}

void Parser::parse_tag(Body& body, const Token& tag, Tokens& tokens) {
  auto parsed = (this->*parser_of(tag.name))(tag, tokens);
  body.blank = body.blank && parsed.blank;
  if (!parsed.node || fault_) return;
  parsed.node->at = tag.raw.data();
  body.nodes.push_back(std::move(parsed.node));
}

void Parser::parse_lines(Body& body, const Token& tag) {
  Tokens lines(tag.markup, Tokens::Of::lines);
  const auto stop = parse_body(body, lines);
  if (!fault_ && stop.kind != Token::Kind::end) refuse(stop);
}

void Parser::trim(const Token& token) {
  if (token.trims_before && last_text_) last_text_->text = trim_right(last_text_->text);
  trim_next_ = token.trims_after;
}

void Parser::expect_end(const Token& stop, const Token& tag) {
  if (fault_) return;
  if (stop.kind == Token::Kind::end) {
    fail(tag.raw, fmt::format("'{0}' is not closed: add {{% end{0} %}}", tag.name));
  } else if (!stop.name.starts_with("end") || stop.name.substr(3) != tag.name) {
    refuse(stop);
  }
}

void Parser::refuse(const Token& stop) {
  const auto name = stop.name.substr(0, 40);
  const bool part = name == "else" || name == "elsif" || name == "when" || name.starts_with("end");
  fail(stop.raw, part ? fmt::format("'{}' does not belong here: no open tag that it is part of", name)
                      : fmt::format("there is no tag '{}'", name));
}

void Parser::fail(std::string_view at, std::string detail, bool limit) {
  if (!fault_) fault_ = {at.data(), std::move(detail), limit};
}

std::string_view Parser::target_of(std::string_view markup) {
  std::size_t n = 0;
  while (n < markup.size() &&
         (is_word(markup[n]) || std::string_view("-.[]()").find(markup[n]) != std::string_view::npos))
    ++n;
  return markup.substr(0, n);
}

void Parser::check_name(std::string_view name) {
  if (name.size() > 255) fail(name, "a name may have 255 bytes");
}

void Body::drop_space() {
  std::erase_if(nodes, [](const auto& node) { return dynamic_cast<const TextNode*>(node.get()) != nullptr; });
}

}  // namespace cx::liquid
