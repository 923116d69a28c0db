#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runtime/error.hpp"
#include "runtime/liquid/markup.hpp"
#include "runtime/liquid/nodes.hpp"
#include "runtime/liquid/tokens.hpp"

namespace cx::liquid {

/// Makes the tree of one template.
class Parser {
 public:
  explicit Parser(Tree& tree) : tree_(tree), here_(tree.source) {}

  Fault parse();

 private:
  /// What came of a tag. Blank: prints nothing but space.
  struct Parsed {
    std::unique_ptr<Node> node;  ///< null: nothing to render
    bool blank = false;
  };
  using TagParser = Parsed (Parser::*)(const Token& tag, Tokens& tokens);
  static TagParser parser_of(std::string_view tag);

  /// Fills `body` up to a tag that is not one of its own, such as `else` or `endif`, or to the end.
  Token parse_body(Body& body, Tokens& tokens);
  void parse_tag(Body& body, const Token& tag, Tokens& tokens);
  void parse_lines(Body& body, const Token& tag);
  void trim(const Token& token);
  /// Faults unless `stop` ends the block that `tag` begins.
  void expect_end(const Token& stop, const Token& tag);
  void refuse(const Token& stop);
  void fail(std::string_view at, std::string detail, bool limit = false);
  Markup markup_of(const Token& tag) { return {tag.markup, names_, fault_}; }
  /// The name of a variable to be set that `markup` begins with.
  static std::string_view target_of(std::string_view markup);
  /// The name that assign, capture and counters set: longer ones would make lookups dear.
  void check_name(std::string_view name);

  Parsed parse_if(const Token& tag, Tokens& tokens);
  Parsed parse_case(const Token& tag, Tokens& tokens);
  Parsed parse_for(const Token& tag, Tokens& tokens);
  Parsed parse_table_row(const Token& tag, Tokens& tokens);
  Parsed parse_if_changed(const Token& tag, Tokens& tokens);
  Parsed parse_capture(const Token& tag, Tokens& tokens);
  Parsed parse_echo(const Token& tag, Tokens& tokens);
  Parsed parse_assign(const Token& tag, Tokens& tokens);
  Parsed parse_cycle(const Token& tag, Tokens& tokens);
  Parsed parse_counter(const Token& tag, Tokens& tokens);
  Parsed parse_interrupt(const Token& tag, Tokens& tokens);
  Parsed parse_partial(const Token& tag, Tokens& tokens);
  Parsed parse_comment(const Token& tag, Tokens& tokens);
  Parsed parse_line_comment(const Token& tag, Tokens& tokens);
  Parsed parse_raw(const Token& tag, Tokens& tokens);
  Parsed parse_doc(const Token& tag, Tokens& tokens);
  void parse_when(CaseNode::Branch& branch, const Token& tag);

  Tree& tree_;
  Names names_;
  Fault fault_;
  TextNode* last_text_ = nullptr;  ///< what a tag that trims would trim
  std::string_view here_;          ///< the last token
  bool trim_next_ = false;
  int depth_ = 0;
};

}  // namespace cx::liquid
