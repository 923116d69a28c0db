#include "actors/condition/condition.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>

#include "actors/condition/node.hpp"

namespace cx::condition {
namespace {

constexpr std::size_t kSummaryBytes = 120;

/// By Op.
constexpr std::array<std::string_view, 17> kWords = {"all of",
                                                     "any of",
                                                     "not",
                                                     "exists",
                                                     "equals",
                                                     "does not equal",
                                                     "is above",
                                                     "is at least",
                                                     "is below",
                                                     "is at most",
                                                     "is one of",
                                                     "contains",
                                                     "starts with",
                                                     "ends with",
                                                     "is within the last",
                                                     "is before the last",
                                                     "equals"};

std::string_view text_of(const boost::json::value& value) {
  const auto& text = value.get_string();
  return {text.data(), text.size()};
}

bool contains(const View& view, const boost::json::value& wanted) {
  if (view.type == View::Type::text)
    return wanted.is_string() && view.text.find(text_of(wanted)) != std::string_view::npos;
  const auto* list = view.type == View::Type::compound ? view.compound->if_array() : nullptr;
  return list != nullptr &&
         std::any_of(list->begin(), list->end(), [&](const auto& element) { return equal(element, wanted); });
}

/// A key is a text, whatever it was made of: with it, the other's text is compared.
bool same(const View& a, const View& b, bool as_texts) {
  if (!a || !b) return false;
  if (!as_texts) return equal(a, b);
  std::string x, y;
  return append_text(x, a) && append_text(y, b) && x == y;
}

Instant before(std::int64_t now, const Instant& span) {
  auto out = Instant::of_ms(now);
  out.seconds -= span.seconds;
  out.nanos -= span.nanos;
  if (out.nanos < 0) {
    out.nanos += 1'000'000'000;
    --out.seconds;
  }
  return out;
}

}  // namespace

bool Condition::Node::holds(const Subject& subject) const {
  const auto child = [&](const Node& node) { return node.holds(subject); };
  switch (op) {
    case Op::all:
      return std::all_of(children.begin(), children.end(), child);
    case Op::any:
      return std::any_of(children.begin(), children.end(), child);
    case Op::negation:
      return !child(children.front());
    default:
      return test(subject);
  }
}

bool Condition::Node::test(const Subject& subject) const {
  Scratch scratch;
  const auto view = field->read(subject, scratch);
  switch (op) {
    case Op::exists:
      return static_cast<bool>(view) == flag;
    case Op::equals:
      return equal(view, view_of(operand));
    case Op::not_equals:
      return !equal(view, view_of(operand));
    case Op::above:
    case Op::at_least:
    case Op::below:
    case Op::at_most:
      return ordered(view);
    case Op::one_of: {
      const auto& list = operand.get_array();
      return view && std::any_of(list.begin(), list.end(),
                                 [&](const auto& value) { return equal(view, view_of(value)); });
    }
    case Op::contains:
      return contains(view, operand);
    case Op::starts_with:
      return view.type == View::Type::text && view.text.starts_with(text_of(operand));
    case Op::ends_with:
      return view.type == View::Type::text && view.text.ends_with(text_of(operand));
    case Op::within_last:
    case Op::before_last:
      return recent(view, subject.now);
    case Op::equals_field: {
      Scratch other_scratch;
      const bool as_texts = field->root == Field::Path::Root::key || other->root == Field::Path::Root::key;
      return same(view, other->read(subject, other_scratch), as_texts);
    }
    case Op::all:
    case Op::any:
    case Op::negation:
      break;
  }
  return false;
}

bool Condition::Node::ordered(const View& view) const {
  std::partial_ordering order = std::partial_ordering::unordered;
  if (view.type == View::Type::number && operand.is_number()) {
    order = compare(view.number, view_of(operand).number);
  } else if (view.type == View::Type::text && time) {
    // With a time only times have an order: "soon" is neither before nor after it.
    if (const auto other = parse_time(view.text)) order = *other <=> *time;
  } else if (view.type == View::Type::text && operand.is_string()) {
    order = view.text <=> text_of(operand);
  }
  switch (op) {
    case Op::above:
      return order > 0;
    case Op::at_least:
      return order >= 0;
    case Op::below:
      return order < 0;
    default:
      return order <= 0;
  }
}

bool Condition::Node::recent(const View& view, std::int64_t now) const {
  if (view.type != View::Type::text) return false;
  const auto at = parse_time(view.text);
  if (!at) return false;
  const auto start = before(now, span);
  return op == Op::before_last ? *at < start : *at >= start && *at <= Instant::of_ms(now);
}

void Condition::Node::describe(std::string& out) const {
  if (out.size() > kSummaryBytes) return;
  const auto word = kWords[static_cast<std::size_t>(op)];
  if (field != nullptr) {
    out.append(field->name).append(" ").append(op == Op::exists && !flag ? "does not exist" : word);
    if (other != nullptr) out.append(" ").append(other->name);
    return;
  }
  if (op != Op::all || children.size() > 1) out.append(word).append(" (");
  for (const auto& child : children) {
    if (&child != &children.front()) out += ", ";
    child.describe(out);
  }
  if (op != Op::all || children.size() > 1) out += ')';
}

bool Condition::holds(const Subject& subject) const {
  return root_ == nullptr || root_->holds(subject);
}

std::string Condition::summary() const {
  std::string out;
  if (root_ != nullptr) root_->describe(out);
  if (out.size() <= kSummaryBytes) return out;
  auto end = kSummaryBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;  // between characters
  return out.substr(0, end) + "...";
}

}  // namespace cx::condition
