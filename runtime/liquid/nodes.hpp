#pragma once

#include "runtime/liquid/tree.hpp"

/// The nodes of the tree: one for each tag.
namespace cx::liquid {

struct TextNode : Node {
  std::string_view text;
  void render(Renderer& renderer, std::string& out) const override;
};

/// {{ }} and {% echo %}.
struct OutputNode : Node {
  Filtered value;
  void render(Renderer& renderer, std::string& out) const override;
};

struct AssignNode : Node {
  std::string_view name;
  Filtered value;
  void render(Renderer& renderer, std::string& out) const override;
};

struct CaptureNode : Node {
  std::string_view name;
  Body body;
  void render(Renderer& renderer, std::string& out) const override;
};

/// {% if %} and {% unless %}, which is an `if` whose first condition is turned around.
struct IfNode : Node {
  struct Branch {
    Condition condition;  ///< empty: else
    Body body;
  };
  bool unless = false;
  std::vector<std::unique_ptr<Branch>> branches;
  void render(Renderer& renderer, std::string& out) const override;
};

struct CaseNode : Node {
  struct Branch {
    std::vector<Expression> values;  ///< the body is rendered once for each that equals
    bool otherwise = false;
    Body body;
  };
  Expression value;
  std::vector<std::unique_ptr<Branch>> branches;
  void render(Renderer& renderer, std::string& out) const override;
};

struct ForNode : Node {
  std::string_view variable;
  std::string name;  ///< "item-list.items": what `offset: continue` goes by
  Expression collection;
  std::optional<Expression> limit;
  std::optional<Expression> offset;
  bool proceed = false;  ///< offset: continue
  bool reversed = false;
  Body body;
  Body otherwise;
  void render(Renderer& renderer, std::string& out) const override;
};

struct TableRowNode : Node {
  std::string_view variable;
  Expression collection;
  std::optional<Expression> limit;
  std::optional<Expression> offset;
  std::optional<Expression> columns;
  Body body;
  void render(Renderer& renderer, std::string& out) const override;
};

/// {% break %} and {% continue %}.
struct InterruptNode : Node {
  bool breaks = false;
  void render(Renderer& renderer, std::string& out) const override;
};

struct CycleNode : Node {
  std::optional<Expression> name;
  std::string key;  ///< of one without a name: what it is made of
  std::vector<Expression> values;
  void render(Renderer& renderer, std::string& out) const override;
};

/// {% increment %} and {% decrement %}.
struct CounterNode : Node {
  std::string_view name;
  bool down = false;
  void render(Renderer& renderer, std::string& out) const override;
};

struct IfChangedNode : Node {
  Body body;
  void render(Renderer& renderer, std::string& out) const override;
};

/// {% render %}, which sees nothing but its arguments, and {% include %}, which shares everything.
struct PartialNode : Node {
  bool isolated = false;
  Expression name;
  std::optional<Expression> with;
  bool each = false;       ///< `for` instead of `with`
  std::string_view alias;  ///< `as`; empty: the last part of the name
  std::vector<std::pair<std::string_view, Expression>> arguments;
  void render(Renderer& renderer, std::string& out) const override;
};

}  // namespace cx::liquid
