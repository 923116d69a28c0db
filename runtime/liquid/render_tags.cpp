#include <fmt/format.h>

#include "runtime/liquid/nodes.hpp"
#include "runtime/liquid/renderer.hpp"

/// What tags do, except for loops.
namespace cx::liquid {

void TextNode::render(Renderer& renderer, std::string& out) const {
  if (renderer.work().bytes(text.size())) out += text;
}

void OutputNode::render(Renderer& renderer, std::string& out) const {
  const auto result = renderer.evaluate(value);
  if (!renderer.failed()) renderer.print(out, result);
}

void AssignNode::render(Renderer& renderer, std::string&) const {
  auto result = renderer.evaluate(value);
  if (!renderer.failed()) renderer.world().assigned[name] = std::move(result);
}

void CaptureNode::render(Renderer& renderer, std::string&) const {
  std::string captured;
  renderer.render(body, captured);
  // Everything in it was escaped when it was printed.
  renderer.world().assigned[name] = Value::made(std::move(captured), renderer.html());
}

void IfNode::render(Renderer& renderer, std::string& out) const {
  bool turn = unless;
  for (const auto& branch : branches) {
    const bool holds = branch->condition.empty() || renderer.holds(branch->condition) != turn;
    turn = false;
    if (renderer.failed()) return;
    if (holds) return renderer.render(branch->body, out);
  }
}

void CaseNode::render(Renderer& renderer, std::string& out) const {
  const auto subject = renderer.evaluate(value);
  bool matched = false;
  for (const auto& branch : branches) {
    if (branch->otherwise && !matched) renderer.render(branch->body, out);
    for (const auto& candidate : branch->values) {
      if (renderer.stopped() || !renderer.work().step()) return;
      if (!renderer.same(subject, renderer.evaluate(candidate))) continue;
      matched = true;
      renderer.render(branch->body, out);
    }
  }
}

void InterruptNode::render(Renderer& renderer, std::string&) const {
  renderer.world().interrupt = breaks ? Interrupt::breaks : Interrupt::continues;
}

void CycleNode::render(Renderer& renderer, std::string& out) const {
  std::string which = "=" + key;
  if (name) {
    which = ":";
    append_inspected(which, renderer.evaluate(*name), renderer.work());
  }
  if (!renderer.work().bytes(which.size()) || renderer.failed()) return;
  auto& turn = renderer.world().cycles[which];
  if (turn < values.size()) renderer.print(out, renderer.evaluate(values[turn]));
  turn = turn + 1 < values.size() ? turn + 1 : 0;
}

void CounterNode::render(Renderer& renderer, std::string& out) const {
  auto& world = renderer.world();
  auto [counter, fresh] = world.counters.try_emplace(name, 0);
  if (fresh && world.data)
    if (const auto* value = world.data->if_contains(name); value && value->is_int64())
      counter->second = value->get_int64();
  // By way of unsigned numbers: data may begin at either end.
  auto& count = counter->second;
  if (down) count = static_cast<std::int64_t>(static_cast<std::uint64_t>(count) - 1);
  out += std::to_string(count);
  if (!down) count = static_cast<std::int64_t>(static_cast<std::uint64_t>(count) + 1);
}

void IfChangedNode::render(Renderer& renderer, std::string& out) const {
  std::string printed;
  renderer.render(body, printed);
  if (!renderer.work().bytes(printed.size()) || printed == renderer.world().changed) return;
  out += printed;
  renderer.world().changed = std::move(printed);
}

void PartialNode::render(Renderer& renderer, std::string& out) const {
  auto& world = renderer.world();
  if (!isolated && !world.data)
    return renderer.fail(at, "'include' does not work inside of 'render': use 'render' here, too");
  const auto named = renderer.evaluate(name);
  const auto* text = named.as<Text>();
  if (!text) return renderer.fail(name.at, "the name of a partial must be a string");
  const auto slash = text->view.rfind('/');
  const auto variable = !alias.empty()                    ? alias
                        : slash == std::string_view::npos ? text->view
                                                          : text->view.substr(slash + 1);
  Value subject;
  if (with) {
    subject = renderer.evaluate(*with);
  } else if (!isolated) {
    subject = renderer.find(text->view).value_or(Value());
  }
  World::Frame frame;
  for (const auto& [key, value] : arguments) frame.emplace_back(key, renderer.evaluate(value));
  if (renderer.failed()) return;

  const Sequence sequence(subject);
  const bool loops = isolated ? each && sequence.divisible() : subject.is_array();
  const auto count = loops ? sequence.size() : 1;
  auto loop = std::make_shared<Loop>();
  loop->length = count;
  loop->name = text->view;
  for (std::int64_t i = 0; i < count && !renderer.stopped() && renderer.work().step(); ++i) {
    auto item = loops ? sequence.at(i) : subject;
    if (!isolated) {
      world.frames.push_back(frame);
      world.frames.back().emplace_back(variable, std::move(item));
      renderer.render_partial(text->view, world, at, out);
      world.frames.pop_back();
      continue;
    }
    // Not a frame: what the partial assigns takes the place of its arguments.
    World fresh;
    if (loops) fresh.assigned["forloop"] = Value(std::shared_ptr<const Loop>(loop));
    for (const auto& [key, value] : frame) fresh.assigned[key] = value;
    if (!item.nil()) fresh.assigned[variable] = std::move(item);
    renderer.render_partial(text->view, fresh, at, out);
    loop->next();
  }
}

}  // namespace cx::liquid
