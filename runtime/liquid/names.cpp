#include "runtime/liquid/names.hpp"

#include <algorithm>

namespace cx::liquid {
namespace {

// The text of ['a b']; empty if it is known only when rendered.
std::string_view literal(const Expression* index) {
  const auto* value = index ? std::get_if<Value>(&index->what) : nullptr;
  const auto* text = value ? value->as<Text>() : nullptr;
  return text ? text->view : std::string_view();
}

}  // namespace

void Names::read(const Lookup& lookup) {
  const auto root = lookup.root ? literal(lookup.root.get()) : lookup.name;
  if (root.empty() || set_.contains(root)) return;
  if (std::find(inner_.begin(), inner_.end(), root) != inner_.end()) return;
  std::string path(root);
  for (const auto& step : lookup.steps) {
    const auto name = step.index ? literal(step.index.get()) : step.name;
    const bool command = !step.index && (name == "size" || name == "first" || name == "last");
    if (name.empty() || command) break;
    path.append(".").append(name);
  }
  reads_.insert(std::move(path));
}

}  // namespace cx::liquid
