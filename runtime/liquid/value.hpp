#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cx::liquid {

class Value;
using List = std::vector<Value>;

/// What a rendering has left of its limits. Whoever makes or reads something whose size a template or its
/// data decides, pays first and stops when refused.
class Work {
 public:
  Work(std::int64_t steps, std::int64_t bytes) : steps_(steps), bytes_(bytes) {}

  bool step(std::int64_t n = 1) { return (steps_ -= n) >= 0; }
  bool bytes(std::size_t n) { return (bytes_ -= static_cast<std::int64_t>(n)) >= 0; }
  bool out_of_steps() const { return steps_ < 0; }
  bool out_of_bytes() const { return bytes_ < 0; }
  bool spent() const { return out_of_steps() || out_of_bytes(); }

 private:
  std::int64_t steps_;
  std::int64_t bytes_;
};

/// A text that lives in the data or the template, or that a filter made.
struct Text {
  std::string_view view;
  std::shared_ptr<const std::string> owner;  ///< null if it is borrowed
  bool safe = false;                         ///< HTML already: not escaped when printed
};

/// (first..last), both included; empty if last < first.
struct Range {
  std::int64_t first = 0;
  std::int64_t last = 0;

  std::uint64_t size() const {
    return last < first ? 0 : static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first) + 1;
  }
};

/// The words `blank` and `empty` in a condition: not values but questions.
enum class Question { blank, empty };

/// What `forloop` and `tablerowloop` show.
struct Loop {
  std::int64_t length = 0;
  std::int64_t index = 0;  ///< from 0
  std::string name;        ///< "item-list.items"; of a partial: its name
  std::shared_ptr<const Loop> parent;
  bool table = false;
  std::int64_t columns = 0;
  std::int64_t column = 1;
  std::int64_t row = 1;

  void next();
  /// Nullopt: has no such attribute.
  std::optional<Value> attribute(std::string_view name) const;
};

/// A value of the language. Arrays and objects of the data are borrowed from it.
class Value {
 public:
  using Held = std::variant<std::monostate, bool, std::int64_t, double, Text, Range, Question,
                            const boost::json::array*, const boost::json::object*,
                            std::shared_ptr<const List>, std::shared_ptr<const Loop>>;

  Value() = default;
  explicit Value(bool value) : held_(value) {}
  explicit Value(std::int64_t value) : held_(value) {}
  explicit Value(double value) : held_(value) {}
  explicit Value(Text text) : held_(std::move(text)) {}
  explicit Value(Range range) : held_(range) {}
  explicit Value(Question question) : held_(question) {}
  explicit Value(std::shared_ptr<const Loop> loop) : held_(std::move(loop)) {}
  /// Views `value`, which must stay.
  explicit Value(const boost::json::value& value);
  explicit Value(const boost::json::object& object) : held_(&object) {}

  static Value borrowed(std::string_view text) { return Value(Text{text, nullptr, false}); }
  static Value made(std::string text, bool safe = false);
  static Value list(List items);

  bool nil() const { return held_.index() == 0; }
  bool truthy() const;  ///< all but nil and false
  template <class T>
  const T* as() const {
    return std::get_if<T>(&held_);
  }
  const boost::json::object* object() const;
  const Loop* loop() const;
  /// Also for ranges no: an array of the data or a list.
  bool is_array() const { return array() || items(); }

  /// Of an array: its number of elements, and one of them.
  std::size_t size() const;
  Value at(std::size_t index) const;

 private:
  const boost::json::array* array() const;
  const List* items() const;

  Held held_;
};

/// As messages call its type: "string", "number", ...
std::string_view type_name(const Value& value);

/// The `==` of the language: 1 == 1.0, deep for arrays and objects, an answer where a side is a question.
bool equal(const Value& left, const Value& right, Work& work);

/// Negative, zero, positive; nullopt where there is no order between the two. Sorting uses it.
std::optional<int> order(const Value& left, const Value& right, Work& work);

/// As filters see a text: "" for nil, `["a", 1]` for arrays, `{"a"=>1}` for objects.
void append_text(std::string& out, const Value& value, Work& work);
/// As a part of an array or object prints: texts in quotes, nil as "nil".
void append_inspected(std::string& out, const Value& value, Work& work, int depth = 0);
/// As {{ }} prints it: the elements of arrays one after the other; escaped for HTML on demand.
void append_printed(std::string& out, const Value& value, bool html, Work& work, int depth = 0);
void append_json(std::string& out, const Value& value, Work& work, int depth = 0);

/// The text of a text without a copy; others are made into one in `buffer`.
std::string_view text_of(const Value& value, std::string& buffer, Work& work);

/// What filters of arrays iterate: arrays flattened, ranges unrolled, nil as nothing, all else as one
/// element.
List elements(const Value& value, Work& work);

/// Integer("…") of Ruby: a whole number, also in a text, held within 64 bits; nullopt for all else.
std::optional<std::int64_t> whole_number(const Value& value);

}  // namespace cx::liquid
