#include "gateways/json/plan.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <memory>
#include <mutex>

#include "cx/v1/options.pb.h"

namespace cx::json {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

/// Length of the longest prefix, up to and with a '_', that all names share and none consists of.
std::size_t shared_prefix(const EnumDescriptor& type) {
  std::string_view prefix = type.value(0)->name();
  for (int i = 1; i < type.value_count(); ++i) {
    const std::string_view name = type.value(i)->name();
    const auto [differs, unused] = std::mismatch(prefix.begin(), prefix.end(), name.begin(), name.end());
    prefix = prefix.substr(0, static_cast<std::size_t>(differs - prefix.begin()));
  }
  const auto end = type.value_count() > 1 ? prefix.rfind('_') : prefix.npos;
  if (end == prefix.npos) return 0;
  for (int i = 0; i < type.value_count(); ++i)
    if (type.value(i)->name().size() == end + 1) return 0;
  return end + 1;
}

std::unique_ptr<EnumPlan> make_plan(const EnumDescriptor& type) {
  auto plan = std::make_unique<EnumPlan>();
  plan->descriptor = &type;
  const auto prefix = shared_prefix(type);
  std::vector<std::string> ambiguous;
  for (int i = 0; i < type.value_count(); ++i) {
    const auto& value = *type.value(i);
    const auto folded = lower(value.name());
    for (const auto& name : {folded, folded.substr(prefix)}) {
      const auto [at, added] = plan->folded.emplace(name, value.number());
      if (!added && at->second != value.number()) ambiguous.push_back(name);
    }
  }
  for (const auto& name : ambiguous) plan->folded.erase(name);
  return plan;
}

Shape shape_of(const Descriptor& type) {
  static const std::unordered_map<std::string_view, Shape> shapes = {
      {"Timestamp", Shape::timestamp},  {"Duration", Shape::duration},
      {"FieldMask", Shape::field_mask}, {"Any", Shape::any},
      {"Struct", Shape::structure},     {"Value", Shape::value},
      {"ListValue", Shape::list_value}, {"DoubleValue", Shape::wrapper},
      {"FloatValue", Shape::wrapper},   {"Int64Value", Shape::wrapper},
      {"UInt64Value", Shape::wrapper},  {"Int32Value", Shape::wrapper},
      {"UInt32Value", Shape::wrapper},  {"BoolValue", Shape::wrapper},
      {"StringValue", Shape::wrapper},  {"BytesValue", Shape::wrapper},
  };
  if (type.file()->package() != "google.protobuf" || type.containing_type() != nullptr) return Shape::object;
  const auto known = shapes.find(type.name());
  return known == shapes.end() ? Shape::object : known->second;
}

FieldPlan make_plan(const FieldDescriptor& field) {
  FieldPlan plan;
  plan.descriptor = &field;
  plan.label = '"' + field.name() + "\":";
  plan.map = field.is_map();
  plan.list = field.is_repeated() && !plan.map;
  plan.presence = field.has_presence();
  const auto& options = field.options();
  plan.internal = options.GetExtension(v1::internal);
  plan.output_only = options.GetExtension(v1::output_only);
  plan.secret = options.GetExtension(v1::secret);
  plan.pii = options.GetExtension(v1::pii);
  plan.required = options.GetExtension(v1::required);
  const bool text = field.type() == FieldDescriptor::TYPE_STRING;
  plan.generated = options.GetExtension(v1::generated) && text && !field.is_repeated();
  plan.name = options.GetExtension(v1::name) && text;
  plan.max_length = options.GetExtension(v1::max_length);
  plan.max_items = options.GetExtension(v1::max_items);
  if (options.HasExtension(v1::range)) {
    const auto& range = options.GetExtension(v1::range);
    plan.range = {range.min(), range.max()};
  }
  const auto& words = options.GetRepeatedExtension(v1::one_of);
  if (text) plan.one_of.assign(words.begin(), words.end());
  plan.rules = plan.required || plan.name || plan.max_length > 0 || plan.max_items > 0 || plan.range ||
               !plan.one_of.empty();
  return plan;
}

/// Plans by descriptor: a hash table of chains that only grow, at the front.
class Registry {
 public:
  const Plan& get(const Descriptor& type) {
    if (const auto* plan = find(type)) return *plan;
    const std::lock_guard lock(mutex_);
    if (const auto* plan = find(type)) return *plan;
    std::unordered_map<const Descriptor*, std::unique_ptr<Plan>> fresh;
    const auto* made = make(type, fresh);
    spread(fresh);
    // All of them are complete before any of them can be seen.
    for (auto& [descriptor, plan] : fresh) {
      auto& head = heads_[slot(*descriptor)];
      head.store(new Node{std::move(plan), head.load(std::memory_order_relaxed)}, std::memory_order_release);
    }
    return *made;
  }

 private:
  struct Node {
    std::unique_ptr<Plan> plan;
    const Node* next;
  };
  using Fresh = std::unordered_map<const Descriptor*, std::unique_ptr<Plan>>;

  static std::size_t slot(const Descriptor& type) {
    const auto hash = reinterpret_cast<std::uintptr_t>(&type) * 0x9e3779b97f4a7c15U;
    return hash >> (64 - kBits);
  }

  const Plan* find(const Descriptor& type) const {
    for (const Node* node = heads_[slot(type)].load(std::memory_order_acquire); node != nullptr;
         node = node->next) {
      if (node->plan->descriptor == &type) return node->plan.get();
    }
    return nullptr;
  }

  const Plan* make(const Descriptor& type, Fresh& fresh) {
    if (const auto* known = find(type)) return known;
    auto& held = fresh[&type];
    if (held) return held.get();
    held = std::make_unique<Plan>();
    Plan& plan = *held;
    plan.descriptor = &type;
    plan.shape = shape_of(type);
    for (int i = 0; i < type.field_count(); ++i) plan.fields.push_back(make_plan(*type.field(i)));
    for (FieldPlan& field : plan.fields) {
      const auto& d = *field.descriptor;
      plan.by_name.emplace(d.name(), &field);
      if (d.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) field.message = make(*d.message_type(), fresh);
      if (d.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) field.enumeration = make(*d.enum_type());
      plan.has_rules |= field.rules;
      plan.has_internal |= field.internal;
      plan.has_output_only |= field.output_only;
      plan.has_generated |= field.generated;
    }
    // A field's own name goes before another's second spelling.
    for (const FieldPlan& field : plan.fields) plan.by_name.emplace(field.descriptor->json_name(), &field);
    if (plan.shape == Shape::any) plan.has_rules = plan.has_internal = plan.has_output_only = true;
    return &plan;
  }

  const EnumPlan* make(const EnumDescriptor& type) {
    auto& held = enums_[&type];
    if (!held) held = make_plan(type);
    return held.get();
  }

  /// What a type holds, its holders hold; types may hold themselves.
  static void spread(const Fresh& fresh) {
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto& [descriptor, plan] : fresh) {
        for (const FieldPlan& field : plan->fields) {
          if (field.message == nullptr) continue;
          for (const auto flag :
               {&Plan::has_rules, &Plan::has_internal, &Plan::has_output_only, &Plan::has_generated}) {
            if (field.message->*flag && !((*plan).*flag)) changed = (*plan).*flag = true;
          }
        }
      }
    }
  }

  static constexpr int kBits = 10;
  std::array<std::atomic<const Node*>, 1 << kBits> heads_{};
  std::mutex mutex_;
  std::unordered_map<const EnumDescriptor*, std::unique_ptr<EnumPlan>> enums_;  // guarded by mutex_
};

/// How many letters to insert, remove, replace or swap with the next one.
std::size_t edits(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before_last, last(to.size() + 1), row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (from[i - 1] == to[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[to.size()];
}

}  // namespace

const google::protobuf::EnumValueDescriptor* EnumPlan::find(std::string_view name) const {
  const std::string text(name);
  if (const auto* value = descriptor->FindValueByName(text)) return value;
  const auto known = folded.find(lower(name));
  return known == folded.end() ? nullptr : descriptor->FindValueByNumber(known->second);
}

const FieldPlan* Plan::find(std::string_view name) const {
  const auto known = by_name.find(name);
  return known == by_name.end() || known->second->internal ? nullptr : known->second;
}

std::string Plan::suggest(std::string_view name) const {
  constexpr std::size_t kLongest = 64, kShown = 12;
  std::string_view best;
  std::size_t fewest = 3;
  std::string names;
  std::size_t shown = 0, known = 0;
  for (const FieldPlan& field : fields) {
    if (field.internal || field.output_only) continue;
    const std::string& candidate = field.descriptor->name();
    if (++known <= kShown) names += (shown++ == 0 ? "" : ", ") + candidate;
    if (name.size() > kLongest) continue;
    const auto distance = std::min(edits(name, candidate), edits(name, field.descriptor->json_name()));
    // Two edits turn any two letters into any others: a guess keeps some of the word.
    if (distance < fewest && distance < candidate.size()) {
      fewest = distance;
      best = candidate;
    }
  }
  if (!best.empty()) return "did you mean " + std::string(best) + "?";
  if (known == 0) return "it has none.";
  return "its fields are " + names + (known > kShown ? ", ..." : "") + ".";
}

const Plan& plan_of(const Descriptor& type) {
  static Registry& registry = *new Registry;  // NOLINT: threads may outlive static objects
  return registry.get(type);
}

}  // namespace cx::json
