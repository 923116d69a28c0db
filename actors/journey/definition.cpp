#include "actors/journey/definition.hpp"

#include <google/protobuf/util/json_util.h>

#include "actors/journey/parts.hpp"

namespace cx::journey {
namespace {

using condition::Condition;
using condition::Field;

constexpr std::size_t kKeyBytes = 300;

// What problems_of() has let through compiles; an empty condition stands for what does not.

Condition ready(bool there, const v1::Condition& condition, condition::Roots roots) {
  if (!there) return {};
  auto compiled = Condition::compile(condition, roots, "");
  return compiled ? std::move(*compiled) : Condition();
}

std::optional<Field> ready(const std::string& name, condition::Roots roots) {
  auto field = Field::parse(name, roots, "");
  if (!field) return std::nullopt;
  return std::move(*field);
}

ReadyStep ready(const Definition::Parts& parts, int i) {
  const auto& journey = parts.journey;
  const auto place = [&](const std::string& id) {
    const auto at = parts.by_id.find(id);
    return at == parts.by_id.end() ? -1 : at->second;
  };
  const auto& rule = journey.steps(i);
  ReadyStep out;
  out.rule = &rule;
  if (goes_on(rule)) {
    const int following = i + 1 < journey.steps_size() ? i + 1 : -1;
    out.next = rule.next().empty() ? following : place(rule.next());
  }
  if (rule.has_remember() && rule.remember().has_value())
    (void)google::protobuf::util::MessageToJsonString(rule.remember().value(), &out.value);
  if (rule.has_remember() && !rule.remember().field().empty())
    out.field = ready(rule.remember().field(), kFieldRoots);
  if (rule.wait().has_at()) out.field = ready(rule.wait().at().field(), kFieldRoots);
  if (rule.wait().has_until()) {
    const auto& until = rule.wait().until();
    out.where = ready(until.event().has_where(), until.event().where(), kListeningRoots);
    out.on_timeout = until.on_timeout().empty() ? out.next : place(until.on_timeout());
  }
  for (const auto& branch : rule.decide().branches())
    out.branches.push_back({ready(true, branch.when(), kDecisionRoots), place(branch.next())});
  std::uint64_t sum = 0;
  for (const auto& share : rule.split().shares())
    out.shares.push_back({sum += share.weight(), place(share.next())});
  return out;
}

}  // namespace

const ReadyStep* Definition::Parts::step(std::string_view id) const {
  const auto at = by_id.find(id);
  return at == by_id.end() ? nullptr : &steps[static_cast<std::size_t>(at->second)];
}

Definition::Definition(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Definition::~Definition() = default;

Result<DefinitionPtr> Definition::compile(const v1::Journey& journey) {
  if (const auto problems = problems_of(journey); !problems.empty()) {
    const auto& first = problems.front();
    return Error{Code::invalid_argument, first.type(), first.detail(), first.pointer()};
  }
  auto parts = std::make_unique<Parts>();
  parts->journey = journey;
  const auto& trigger = parts->journey.trigger();
  parts->purpose = journey.purpose().empty() ? "marketing" : journey.purpose();
  const bool has_where = trigger.has_event() ? trigger.event().has_where() : trigger.api().has_where();
  parts->trigger_where =
      ready(has_where, trigger.has_event() ? trigger.event().where() : trigger.api().where(),
            trigger_roots(trigger));
  if (!trigger.key().empty()) parts->key = ready(trigger.key(), key_roots(trigger));
  for (int i = 0; i < journey.steps_size(); ++i) parts->by_id.emplace(journey.steps(i).id(), i);
  for (int i = 0; i < journey.steps_size(); ++i) {
    parts->steps.push_back(ready(*parts, i));
    const auto& wait = journey.steps(i).wait();
    if (wait.has_until()) parts->listens.insert(wait.until().event().name());
  }
  for (const auto& event : journey.exit_on()) {
    parts->exits.push_back({event.name(), ready(event.has_where(), event.where(), kListeningRoots)});
    parts->listens.insert(event.name());
  }
  return DefinitionPtr(new Definition(std::move(parts)));
}

const v1::Journey& Definition::journey() const {
  return parts_->journey;
}

const std::string& Definition::purpose() const {
  return parts_->purpose;
}

const std::string& Definition::trigger_event() const {
  return parts_->journey.trigger().event().name();
}

Definition::Start Definition::start(const condition::Subject& subject) const {
  if (!parts_->trigger_where.holds(subject)) return {false, {}, "condition"};
  if (!parts_->key) return {true, {}, {}};
  auto key = parts_->key->text_of(subject);
  if (!key || key->empty() || key->size() > kKeyBytes) return {false, {}, "key"};
  return {true, std::move(*key), {}};
}

v1::Trigger::ReEntry Definition::re_entry() const {
  return parts_->journey.trigger().re_entry();
}

bool Definition::listens(std::string_view event) const {
  return parts_->listens.find(event) != parts_->listens.end();
}

Definition::Branch Definition::branch(std::string_view step, const condition::Subject& subject) const {
  const auto* ready = parts_->step(step);
  if (ready == nullptr) return {-1, "there is no such step"};
  for (std::size_t i = 0; i < ready->branches.size(); ++i) {
    const auto& when = ready->branches[i].when;
    if (when.holds(subject))
      return {static_cast<int>(i), "branch " + std::to_string(i + 1) + ": " + when.summary()};
  }
  return {-1, "no branch holds"};
}

}  // namespace cx::journey
