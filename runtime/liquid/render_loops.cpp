#include <algorithm>
#include <utility>

#include "runtime/liquid/nodes.hpp"
#include "runtime/liquid/renderer.hpp"

namespace cx::liquid {
namespace {

// The elements [begin, end) of a sequence.
struct Part {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - begin; }
};

Part part_of(const Sequence& sequence, std::int64_t offset, std::optional<std::int64_t> limit) {
  if (!sequence.divisible()) return {0, sequence.size()};
  Part part{std::clamp<std::int64_t>(offset, 0, sequence.size()), sequence.size()};
  std::int64_t end = 0;
  if (limit && !__builtin_add_overflow(offset, *limit, &end))
    part.end = std::min(part.end, std::max(part.begin, end));
  if (limit && *limit < 0) part.end = std::max(part.begin, std::min(part.end, end));
  return part;
}

// Whether the loop ends here.
bool ends(Renderer& renderer) {
  const auto interrupt = std::exchange(renderer.world().interrupt, Interrupt::none);
  return renderer.failed() || interrupt == Interrupt::breaks;
}

void begin(World& world, std::string_view loop_name, const std::shared_ptr<Loop>& loop,
           std::string_view variable) {
  world.frames.push_back({{loop_name, Value(std::shared_ptr<const Loop>(loop))}, {variable, Value()}});
}

}  // namespace

void ForNode::render(Renderer& renderer, std::string& out) const {
  auto& world = renderer.world();
  renderer.work().bytes(name.size());
  const auto from = proceed ? world.offsets[name] : offset ? renderer.integer(*offset, false) : 0;
  const auto items = renderer.evaluate(collection);
  std::optional<std::int64_t> most;
  if (limit && !renderer.evaluate(*limit).nil()) most = renderer.integer(*limit, false);
  if (renderer.failed()) return;
  const Sequence sequence(items);
  const auto part = part_of(sequence, from, most);
  if (__builtin_add_overflow(from, part.size(), &world.offsets[name])) world.offsets[name] = INT64_MAX;
  if (part.size() == 0) return renderer.render(otherwise, out);

  auto loop = std::make_shared<Loop>();
  loop->length = part.size();
  loop->name = name;
  if (!world.loops.empty()) loop->parent = world.loops.back();
  world.loops.push_back(loop);
  begin(world, "forloop", loop, variable);
  for (std::int64_t i = 0; i < part.size() && renderer.work().step(); ++i) {
    world.frames.back().back().second = sequence.at(reversed ? part.end - 1 - i : part.begin + i);
    renderer.render(body, out);
    loop->next();
    if (ends(renderer)) break;
  }
  world.frames.pop_back();
  world.loops.pop_back();
}

void TableRowNode::render(Renderer& renderer, std::string& out) const {
  auto& world = renderer.world();
  const auto items = renderer.evaluate(collection);
  if (!items.truthy()) return;
  const auto from = offset ? renderer.integer(*offset, true) : 0;
  std::optional<std::int64_t> most;
  if (limit) most = renderer.integer(*limit, true);
  const Sequence sequence(items);
  const auto part = part_of(sequence, from, most);
  auto loop = std::make_shared<Loop>();
  loop->table = true;
  loop->length = part.size();
  loop->columns = columns ? renderer.integer(*columns, true) : part.size();
  if (renderer.failed()) return;

  out += "<tr class=\"row1\">\n";
  begin(world, "tablerowloop", loop, variable);
  for (std::int64_t i = 0; i < part.size() && renderer.work().step(); ++i) {
    world.frames.back().back().second = sequence.at(part.begin + i);
    out += "<td class=\"col" + std::to_string(loop->column) + "\">";
    renderer.render(body, out);
    out += "</td>";
    if (ends(renderer)) break;
    if (loop->column == loop->columns && i + 1 < part.size())
      out += "</tr>\n<tr class=\"row" + std::to_string(loop->row + 1) + "\">";
    loop->next();
  }
  world.frames.pop_back();
  out += "</tr>\n";
}

}  // namespace cx::liquid
