#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

/// Liquid, the template language of Shopify (https://shopify.github.io/liquid), as its reference
/// implementation behaves: compiled once, rendered often. Where the reference implementation would print
/// "Liquid error: …" into the page, or render something else than was surely meant (unknown filters, wrong
/// arguments, an operator that it does not know), this one refuses the template or the rendering.
namespace cx::liquid {

/// What a template may use up, however it was written and whatever it is fed.
struct Limits {
  std::size_t template_bytes = 256 * 1024;
  std::size_t output_bytes = 1024 * 1024;
  /// Nodes rendered, iterations begun, filters called, names looked up.
  std::int64_t steps = 100'000;
  /// Bytes that filters, comparisons and captures read and make, all together. Bounds time and memory.
  std::int64_t work_bytes = 32 * 1024 * 1024;
  /// Blocks inside one another; at render time partials count, too.
  int depth = 64;
};

class Template;

/// Templates by the name under which {% render %} and {% include %} find them.
using Partials = std::map<std::string, Template, std::less<>>;

struct Options {
  /// Escapes for HTML whatever {{ … }} prints, except what the filter `raw` (or `safe`) marked, `escape` has
  /// escaped already, or {% capture %} has captured. Off: plain Liquid.
  bool html = false;
  /// Refuses to read a variable that the data does not have, instead of taking it for nil.
  bool strict_variables = false;
  /// What "now" and "today" mean to the filter `date`: Unix time in milliseconds. Times print in UTC, or in
  /// the zone that the text names.
  std::int64_t now = 0;
  /// Must outlive the rendering; null: none.
  const Partials* partials = nullptr;
};

class Renderer;
struct Tree;

/// A compiled template: immutable, cheap to copy, rendered from as many threads as one likes.
class Template {
 public:
  /// Errors: invalid_argument, `invalid-template` (the detail begins with "line L, column C: ") or
  /// `template-limit`.
  static Result<Template> compile(std::string_view source, const Limits& limits = {});

  /// The text for `data`, which is UTF-8 if `data` is. Pure: the same arguments give the same text. Errors as
  /// above; an error in a partial names it.
  Result<std::string> render(const boost::json::object& data, const Options& options = {}) const;

  /// What it reads of the data, sorted: "reader.name"; "list.items" for whatever of its elements.
  /// Names that the template sets itself before it reads them are left out; so is what partials read.
  const std::vector<std::string>& variables() const;

  /// The names of the partials that it asks for by a literal name, sorted.
  const std::vector<std::string>& partials() const;

 private:
  friend class Renderer;
  explicit Template(std::shared_ptr<const Tree> tree);

  std::shared_ptr<const Tree> tree_;
};

}  // namespace cx::liquid
