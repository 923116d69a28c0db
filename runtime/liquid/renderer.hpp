#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/liquid/tree.hpp"
#include "runtime/liquid/value.hpp"

namespace cx::liquid {

enum class Interrupt { none, breaks, continues };

/// What the tags of one template share; `include` shares it, too, `render` begins another.
struct World {
  using Frame = std::vector<std::pair<std::string_view, Value>>;

  const boost::json::object* data = nullptr;  ///< null inside of `render`
  std::vector<Frame> frames;                  ///< the names of loops and partials, innermost last
  std::unordered_map<std::string_view, Value> assigned;
  std::unordered_map<std::string_view, std::int64_t> counters;
  std::unordered_map<std::string, std::int64_t> offsets;  ///< where `offset: continue` goes on
  std::unordered_map<std::string, std::size_t> cycles;
  std::vector<std::shared_ptr<Loop>> loops;
  std::string changed;  ///< what {% ifchanged %} compares with
  Interrupt interrupt = Interrupt::none;
};

/// What a loop goes through, one by one and without a copy. `value` must stay.
class Sequence {
 public:
  explicit Sequence(const Value& value);

  std::int64_t size() const { return size_; }
  Value at(std::int64_t index) const;
  /// A text is one element, or none if it is empty, and has no parts.
  bool divisible() const { return value_.is_array() || value_.object() || value_.as<Range>(); }

 private:
  const Value& value_;
  std::int64_t size_ = 0;
};

/// One rendering. After a failure, which it remembers, it does nothing more.
class Renderer {
 public:
  Renderer(const Tree& tree, const boost::json::object& data, const Options& options);

  Result<std::string> run();

  void render(const Body& body, std::string& out);
  Value evaluate(const Expression& expression);
  Value evaluate(const Filtered& filtered);
  bool holds(const Condition& condition);
  bool same(const Value& left, const Value& right) { return equal(left, right, work_); }
  void print(std::string& out, const Value& value) { append_printed(out, value, options_.html, work_); }
  /// Renders the partial of that name in `world`.
  void render_partial(std::string_view name, World& world, const char* at, std::string& out);

  /// What the name stands for here; nullopt: nothing.
  std::optional<Value> find(std::string_view name) const;

  World& world() { return *world_; }
  Work& work() { return work_; }
  bool html() const { return options_.html; }
  /// No more of this body: it failed, or there was a break or continue.
  bool stopped() const { return error_.has_value() || world_->interrupt != Interrupt::none; }
  bool failed() const { return error_.has_value(); }
  void fail(const char* at, const std::string& detail);
  /// Of the value of an expression, such as a limit: String#to_i if `lenient`, else Integer().
  std::int64_t integer(const Expression& expression, bool lenient);

 private:
  std::optional<Value> step_into(const Value& value, const Step& step);
  Value look_up(const Lookup& lookup, const char* at);
  Value range(const Between& between, const char* at);
  Value call(const FilterCall& call, Value input);
  bool test(const Comparison& comparison);
  bool contains(const Value& left, const Value& right);
  bool compare(const Comparison& comparison, const Value& left, const Value& right);
  void check(const char* at, const std::string& out);
  void stop(const char* at, std::string type, const std::string& detail);

  const Options& options_;
  const Limits& limits_;
  const Tree* tree_;
  std::string_view partial_;  ///< the name of the one being rendered; empty: none
  World root_;
  World* world_ = &root_;
  Work work_;
  std::optional<Error> error_;
  int depth_ = 0;
};

/// "line 3, column 14" of a place in `source`; columns count characters, both from 1.
std::string place(std::string_view source, const char* at);

}  // namespace cx::liquid
