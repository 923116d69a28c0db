#include "runtime/liquid/renderer.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "runtime/liquid/filters.hpp"
#include "runtime/liquid/text.hpp"

namespace cx::liquid {

std::string place(std::string_view source, const char* at) {
  const auto before = source.substr(0, static_cast<std::size_t>(at - source.data()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto last = before.rfind('\n');
  const auto column = count_characters(before.substr(last == std::string_view::npos ? 0 : last + 1)) + 1;
  return fmt::format("line {}, column {}", line, column);
}

Sequence::Sequence(const Value& value) : value_(value) {
  if (value.is_array()) {
    size_ = static_cast<std::int64_t>(value.size());
  } else if (const auto* object = value.object()) {
    size_ = static_cast<std::int64_t>(object->size());
  } else if (const auto* range = value.as<Range>()) {
    size_ = static_cast<std::int64_t>(std::min<std::uint64_t>(range->size(), INT64_MAX));
  } else if (const auto* text = value.as<Text>()) {
    size_ = text->view.empty() ? 0 : 1;
  }
}

Value Sequence::at(std::int64_t index) const {
  if (const auto* range = value_.as<Range>()) return Value(range->first + index);
  if (const auto* object = value_.object()) {
    const auto& [key, value] = *(object->begin() + index);
    return Value::list({Value::borrowed(key), Value(value)});
  }
  return value_.is_array() ? value_.at(static_cast<std::size_t>(index)) : value_;
}

Renderer::Renderer(const Tree& tree, const boost::json::object& data, const Options& options)
    : options_(options),
      limits_(tree.limits),
      tree_(&tree),
      work_(tree.limits.steps, tree.limits.work_bytes) {
  root_.data = &data;
}

Result<std::string> Renderer::run() {
  std::string out;
  render(tree_->body, out);
  if (error_) return std::move(*error_);
  return out;
}

void Renderer::render(const Body& body, std::string& out) {
  if (++depth_ > limits_.depth && !body.nodes.empty())
    stop(body.nodes[0]->at, "template-limit",
         fmt::format("blocks and partials are nested deeper than {}", limits_.depth));
  for (const auto& node : body.nodes) {
    if (stopped()) break;
    work_.step();
    node->render(*this, out);
    check(node->at, out);
  }
  --depth_;
}

void Renderer::check(const char* at, const std::string& out) {
  const char* advice = "make the template or its data smaller";
  if (work_.out_of_steps()) {
    stop(at, "template-limit", fmt::format("rendering takes more than {} steps: {}", limits_.steps, advice));
  } else if (work_.out_of_bytes()) {
    stop(at, "template-limit",
         fmt::format("rendering works on more than {} bytes: {}", limits_.work_bytes, advice));
  } else if (out.size() > limits_.output_bytes) {
    stop(at, "template-limit",
         fmt::format("the output is longer than {} bytes: {}", limits_.output_bytes, advice));
  }
}

void Renderer::fail(const char* at, const std::string& detail) {
  stop(at, "invalid-template", detail);
}

void Renderer::stop(const char* at, std::string type, const std::string& detail) {
  if (error_) return;
  const auto in = partial_.empty() ? std::string() : fmt::format("in '{}', ", partial_.substr(0, 80));
  error_ = Error{Code::invalid_argument, std::move(type), in + place(tree_->source, at) + ": " + detail, ""};
}

void Renderer::render_partial(std::string_view name, World& world, const char* at, std::string& out) {
  if (failed()) return;
  const auto none = !options_.partials || options_.partials->find(name) == options_.partials->end();
  if (none) return fail(at, fmt::format("there is no partial '{}'", name.substr(0, 80)));
  const auto found = options_.partials->find(name);
  auto* outer_world = std::exchange(world_, &world);
  const auto* outer_tree = std::exchange(tree_, found->second.tree_.get());
  const auto outer_partial = std::exchange(partial_, std::string_view(found->first));
  render(tree_->body, out);
  world_ = outer_world;
  tree_ = outer_tree;
  partial_ = outer_partial;
}

std::optional<Value> Renderer::find(std::string_view name) const {
  for (auto frame = world_->frames.rbegin(); frame != world_->frames.rend(); ++frame)
    for (auto entry = frame->rbegin(); entry != frame->rend(); ++entry)
      if (entry->first == name) return entry->second;
  if (!world_->assigned.empty())
    if (const auto at = world_->assigned.find(name); at != world_->assigned.end()) return at->second;
  if (!world_->counters.empty())
    if (const auto at = world_->counters.find(name); at != world_->counters.end()) return Value(at->second);
  if (world_->data)
    if (const auto* value = world_->data->if_contains(name)) return Value(*value);
  return std::nullopt;
}

std::optional<Value> Renderer::step_into(const Value& value, const Step& step) {
  const Value key = step.index ? evaluate(*step.index) : Value::borrowed(step.name);
  const auto* name = key.as<Text>();
  if (const auto* object = value.object()) {
    const auto* member = name ? object->if_contains(name->view) : nullptr;
    if (member) return Value(*member);
    if (key.as<std::int64_t>()) return Value();
  }
  if (const auto* index = key.as<std::int64_t>(); index && value.is_array()) {
    const auto size = static_cast<std::int64_t>(value.size());
    const auto at = *index < 0 ? *index + size : *index;
    return at >= 0 && at < size ? value.at(static_cast<std::size_t>(at)) : Value();
  }
  if (const auto* loop = value.loop(); loop && name) return loop->attribute(name->view);
  if (step.index) return std::nullopt;
  const auto* text = value.as<Text>();
  const Sequence sequence(value);
  if (!text && !value.is_array() && !value.object() && !value.as<Range>()) return std::nullopt;
  if (step.name == "size")
    return Value(text ? static_cast<std::int64_t>(count_characters(text->view)) : sequence.size());
  const bool first = step.name == "first";
  if (!first && (step.name != "last" || value.object())) return std::nullopt;
  if (sequence.size() == 0) return text ? value : Value();
  if (!text) return sequence.at(first ? 0 : sequence.size() - 1);
  auto view = text->view;
  const auto bytes =
      first ? character_bytes(view) : view.size() - offset_of(view, count_characters(view) - 1);
  return Value(Text{first ? view.substr(0, bytes) : view.substr(view.size() - bytes), text->owner, false});
}

Value Renderer::look_up(const Lookup& lookup, const char* at) {
  work_.step(1 + static_cast<std::int64_t>(lookup.steps.size()));
  std::optional<Value> value;
  std::string_view missing = lookup.name;
  if (lookup.root) {
    const auto name = evaluate(*lookup.root);
    if (const auto* text = name.as<Text>()) value = find(text->view);
  } else {
    value = find(lookup.name);
  }
  for (const auto& step : lookup.steps) {
    if (!value) break;
    value = step_into(*value, step);
    if (!value) missing = step.index ? "the part in brackets" : step.name;
  }
  if (value) return std::move(*value);
  if (options_.strict_variables) fail(at, fmt::format("'{}' is not defined", missing));
  return {};
}

Value Renderer::range(const Between& between, const char* at) {
  const bool literal = between.first->what.index() == 0 && between.last->what.index() == 0;
  const auto end = [&](const Expression& expression) {
    const auto value = evaluate(expression);
    if (const auto* whole = value.as<std::int64_t>()) return *whole;
    if (const auto* text = value.as<Text>()) return leading_integer(text->view);
    if (const auto* real = value.as<double>(); real && literal && *real > -9e18 && *real < 9e18)
      return static_cast<std::int64_t>(*real);
    if (!value.nil())
      fail(at,
           fmt::format("a range goes from a whole number to a whole number, not to {}", type_name(value)));
    return std::int64_t{0};
  };
  Range range;
  range.first = end(*between.first);
  range.last = end(*between.last);
  return Value(range);
}

Value Renderer::evaluate(const Expression& expression) {
  if (const auto* value = std::get_if<Value>(&expression.what)) return *value;
  if (const auto* lookup = std::get_if<Lookup>(&expression.what)) return look_up(*lookup, expression.at);
  return range(std::get<Between>(expression.what), expression.at);
}

Value Renderer::evaluate(const Filtered& filtered) {
  auto value = evaluate(filtered.value);
  for (const auto& filter : filtered.filters) {
    if (error_ || work_.spent()) break;
    value = call(filter, std::move(value));
  }
  return value;
}

Value Renderer::call(const FilterCall& call, Value input) {
  work_.step();
  Call now{.work = work_, .input = std::move(input), .now = options_.now, .problem = {}};
  for (const auto& argument : call.arguments) now.arguments[now.count++] = evaluate(argument);
  if (call.allow_false) now.allow_false = evaluate(*call.allow_false).truthy();
  if (error_) return {};
  auto value = call.filter->apply(now);
  if (!now.problem.empty()) fail(call.at, fmt::format("the filter '{}': {}", call.filter->name, now.problem));
  return value;
}

bool Renderer::holds(const Condition& condition) {
  bool result = false;
  for (const auto& comparison : condition) {
    work_.step();
    result = test(comparison);
    if (result != comparison.and_then) break;
  }
  return result;
}

bool Renderer::test(const Comparison& comparison) {
  const auto left = evaluate(comparison.left);
  if (comparison.op == Operator::none) return left.truthy();
  const auto right = evaluate(comparison.right);
  switch (comparison.op) {
    case Operator::none:
      return false;
    case Operator::equal:
      return same(left, right);
    case Operator::unequal:
      return !same(left, right);
    case Operator::contains:
      return contains(left, right);
    default:
      return compare(comparison, left, right);
  }
}

bool Renderer::contains(const Value& left, const Value& right) {
  if (!right.truthy()) return false;
  if (const auto* text = left.as<Text>()) {
    std::string buffer;
    const auto what = right.as<Question>() ? std::string_view() : text_of(right, buffer, work_);
    return work_.bytes(text->view.size() + what.size()) &&
           liquid::find(text->view, what) != std::string_view::npos;
  }
  if (const auto* object = left.object()) {
    const auto* key = right.as<Text>();
    return key && object->contains(key->view);
  }
  if (const auto* range = left.as<Range>()) {
    if (const auto* whole = right.as<std::int64_t>()) return *whole >= range->first && *whole <= range->last;
    const auto* real = right.as<double>();
    return real && *real >= static_cast<double>(range->first) && *real <= static_cast<double>(range->last);
  }
  for (std::size_t i = 0, n = left.size(); i < n && !work_.spent(); ++i)
    if (same(left.at(i), right)) return true;
  return false;
}

bool Renderer::compare(const Comparison& comparison, const Value& left, const Value& right) {
  const auto comparable = [](const Value& value) {
    return value.as<Text>() || value.as<std::int64_t>() || value.as<double>();
  };
  if (!comparable(left) || !comparable(right)) return false;
  const auto order = liquid::order(left, right, work_);
  if (!order) {
    const bool numbers = !left.as<Text>() && !right.as<Text>();  // one is not a number (NaN)
    if (!numbers)
      fail(comparison.left.at,
           fmt::format("{} cannot be compared with {}", type_name(left), type_name(right)));
    return false;
  }
  switch (comparison.op) {
    case Operator::less:
      return *order < 0;
    case Operator::less_equal:
      return *order <= 0;
    case Operator::greater:
      return *order > 0;
    default:
      return *order >= 0;
  }
}

std::int64_t Renderer::integer(const Expression& expression, bool lenient) {
  const auto value = evaluate(expression);
  if (value.nil()) return 0;
  if (lenient) {
    if (const auto* text = value.as<Text>()) return leading_integer(text->view);
    if (const auto* real = value.as<double>(); real && *real > -9e18 && *real < 9e18)
      return static_cast<std::int64_t>(*real);
  }
  const auto whole = whole_number(value);
  if (!whole) fail(expression.at, "this must be a whole number");
  return whole.value_or(0);
}

}  // namespace cx::liquid
