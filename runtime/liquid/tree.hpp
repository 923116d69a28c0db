#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/liquid/template.hpp"
#include "runtime/liquid/value.hpp"

/// What a template is compiled to. Views go into Tree::source, which lives as long; `at` is where in it.
namespace cx::liquid {

struct Filter;
class Renderer;
struct Expression;

/// One of `.first_name`, `[0]`, `['a b']`, `[variable]`.
struct Step {
  std::string_view name;              ///< after a dot
  std::unique_ptr<Expression> index;  ///< in brackets; null after a dot
};

struct Lookup {
  std::string_view name;             ///< "reader"; empty if it is in brackets
  std::unique_ptr<Expression> root;  ///< ['reader']
  std::vector<Step> steps;
};

struct Between {
  std::unique_ptr<Expression> first;
  std::unique_ptr<Expression> last;
};

struct Expression {
  std::variant<Value, Lookup, Between> what;  ///< Value: a literal
  const char* at = nullptr;
};

struct FilterCall {
  const Filter* filter = nullptr;
  std::vector<Expression> arguments;
  std::optional<Expression> allow_false;  ///< the only named argument that there is
  const char* at = nullptr;
};

/// An expression and the filters that it goes through.
struct Filtered {
  Expression value;
  std::vector<FilterCall> filters;
};

enum class Operator { none, equal, unequal, less, less_equal, greater, greater_equal, contains };

struct Comparison {
  Expression left;
  Operator op = Operator::none;
  Expression right;
  bool and_then = false;  ///< how it joins the next one: `and`, else `or`
};

/// a == 1 and b or c: binds from the right, so that it reads from the left: what follows an `and` matters if
/// what is before holds, what follows an `or` if it does not.
using Condition = std::vector<Comparison>;

struct Node {
  const char* at = nullptr;

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;
  virtual void render(Renderer& renderer, std::string& out) const = 0;
};

struct Body {
  std::vector<std::unique_ptr<Node>> nodes;
  /// Only space and tags that print nothing: then space is not printed either.
  bool blank = true;

  void drop_space();
};

struct Tree {
  std::string source;
  Limits limits;
  Body body;
  std::vector<std::string> variables;
  std::vector<std::string> partials;
};

}  // namespace cx::liquid
