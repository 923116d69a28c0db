#include "actors/journey/walk.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>
#include <xxhash.h>

#include "actors/condition/time.hpp"

namespace cx::journey {
namespace {

using condition::parse_time;
using condition::time_text;
using google::protobuf::util::TimeUtil;

constexpr std::size_t kReasonBytes = 300;
const std::string kWake = "wake";

std::string cut(std::string_view text) {
  if (text.size() <= kReasonBytes) return std::string(text);
  auto end = kReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // between characters
  return std::string(text.substr(0, end));
}

}  // namespace

boost::json::object object_of(std::string_view json) {
  if (json.empty()) return {};
  boost::json::error_code error;
  auto value = boost::json::parse({json.data(), json.size()}, error);
  return error || !value.is_object() ? boost::json::object() : std::move(value.get_object());
}

std::optional<std::string> remembered(std::string_view memory, std::string_view name, std::string_view json) {
  boost::json::error_code error;
  auto value = boost::json::parse({json.data(), json.size()}, error);
  if (error) return std::nullopt;
  auto object = object_of(memory);
  object[boost::json::string_view(name.data(), name.size())] = std::move(value);
  auto out = boost::json::serialize(object);
  if (out.size() > InstanceEntity::kMemoryBytes) return std::nullopt;
  return out;
}

std::size_t share_of(const std::vector<ReadyStep::Share>& shares, std::string_view tenant,
                     std::string_view journey, std::string_view step, std::string_view customer) {
  // None of the parts but the last can have a slash in it.
  const auto name = fmt::format("{}/{}/{}/{}", tenant, journey, step, customer);
  const std::uint64_t hash = XXH64(name.data(), name.size(), 0);
  __extension__ using Wide = unsigned __int128;
  const auto at = static_cast<std::uint64_t>((Wide{hash} * shares.back().below) >> 64);
  std::size_t i = 0;
  while (at >= shares[i].below) ++i;
  return i;
}

std::string message_id(std::string_view instance, std::uint64_t run, std::uint64_t visit) {
  const auto name = fmt::format("{}\n{}\n{}", instance, run, visit);
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  return fmt::format("m-{:016x}{:016x}", hash.high64, hash.low64);
}

Walk::Walk(const Definition& definition, const v1::InstanceState& state, const Context& context)
    : definition_(definition),
      context_(context),
      self_(parse_instance(context.key).value_or(Instance{})),
      customer_(fmt::format("customer/{}/{}", context.tenant, self_.customer)),
      wakes_(state.status() == v1::RUN_STATUS_WAITING),
      step_(state.step()),
      key_(state.key()),
      event_(state.event()),
      memory_(state.memory()),
      revision_(state.revision()),
      run_(state.run()),
      visit_(state.visit()) {}

void Walk::note(std::string_view what, std::string_view reason) {
  auto& note = *add().mutable_noted();
  note.set_at(context_.now);
  note.set_step(step_);
  note.set_what(std::string(what));
  note.set_reason(cut(reason));
}

condition::Subject Walk::subject(const boost::json::object& event) const {
  if (!memory_object_) memory_object_ = object_of(memory_);
  return {nullptr, &event, &*memory_object_, key_, context_.now};
}

void Walk::begin(const v1::StartRun& command) {
  auto& begun = *add().mutable_begun();
  begun.set_journey(command.journey());
  begun.set_revision(command.revision());
  begun.set_run(command.run());
  begun.set_customer(customer_);
  begun.set_key(command.key());
  begun.set_event(command.event());
  begun.set_at(context_.now);
  begun.set_reason(cut(command.reason()));
  step_.clear();
  memory_.clear();
  memory_object_.reset();
  key_ = command.key();
  event_ = command.event();
  revision_ = command.revision();
  run_ = command.run();
}

void Walk::go(int step) {
  for (int n = 0; step >= 0; ++n) {
    if (n == InstanceEntity::kMostSteps) return end(v1::RUN_STATUS_EXITED, "too-many-steps");
    const auto& at = definition_.parts().steps[static_cast<std::size_t>(step)];
    const auto& rule = *at.rule;
    step_ = rule.id();
    auto& entered = *add().mutable_entered();
    entered.set_step(step_);
    entered.set_visit(++visit_);
    entered.set_at(context_.now);
    step = at.next;
    if (rule.has_exit())
      return end(v1::RUN_STATUS_COMPLETED, rule.exit().reason().empty() ? "completed" : rule.exit().reason());
    if (rule.has_wait() && wait(at)) return;
    if (rule.has_decide()) return ask(at);
    if (rule.has_send()) send(at);
    if (rule.has_remember()) remember(at);
    if (rule.has_split()) step = split(at);
  }
  end(v1::RUN_STATUS_COMPLETED, "completed");
}

void Walk::woken() {
  const auto* at = here();
  if (at == nullptr) return end(v1::RUN_STATUS_EXITED, "unknown-step");
  const bool timeout = at->rule->wait().has_until();
  if (timeout) note("decided", "timeout");
  go(timeout ? at->on_timeout : at->next);
}

void Walk::happened(const v1::RunEvent& event) {
  const auto* at = here();
  if (at == nullptr) return end(v1::RUN_STATUS_EXITED, "unknown-step");
  note("decided", "event " + event.name());
  if (const auto& name = at->rule->wait().until().remember_as(); !name.empty()) {
    const auto object = object_of(event.event());
    const auto* properties = object.if_contains("properties");
    remember(name, properties == nullptr ? "{}" : boost::json::serialize(*properties));
  }
  go(at->next);
}

void Walk::decided(const v1::StepDecided& decision) {
  const auto* at = here();
  if (at == nullptr) return end(v1::RUN_STATUS_EXITED, "unknown-step");
  note("decided", decision.reason());
  const auto branch = static_cast<std::size_t>(decision.branch());
  go(decision.branch() >= 0 && branch < at->branches.size() ? at->branches[branch].to : at->next);
}

bool Walk::wait(const ReadyStep& step) {
  const auto until = moment(step);
  if (!until) return false;
  auto& waits = *add().mutable_waits();
  waits.set_until(*until);
  waits.set_at(context_.now);
  const auto& rule = step.rule->wait();
  waits.set_reason(cut((rule.has_until() ? "event " + rule.until().event().name() + ", " : std::string()) +
                       "until " + time_text(*until)));
  v1::WakeRun wake;
  wake.set_visit(visit_);
  wake.set_due(*until);
  out_.remind(kWake, *until, std::move(wake));
  return true;
}

std::optional<std::int64_t> Walk::moment(const ReadyStep& step) {
  const auto& rule = step.rule->wait();
  if (rule.has_duration()) return context_.now + TimeUtil::DurationToMilliseconds(rule.duration());
  if (rule.has_until()) return context_.now + TimeUtil::DurationToMilliseconds(rule.until().timeout());
  const auto text = step.field->text_of(subject(object_of(event_)));
  const auto time = text ? parse_time(*text) : std::nullopt;
  if (!time) {
    note("passed", step.field->name() + (text ? " is no time" : " is absent"));
    return std::nullopt;
  }
  const auto until = time->unix_ms() + TimeUtil::DurationToMilliseconds(rule.at().offset());
  if (until > context_.now) return until;
  note("passed", "it is later than that already");
  return std::nullopt;
}

void Walk::remember(std::string_view name, std::string json) {
  auto memory = remembered(memory_, name, json);
  if (!memory) return note("forgotten", "the memory is full: " + std::string(name));
  memory_ = std::move(*memory);
  memory_object_.reset();
  auto& event = *add().mutable_remembered();
  event.set_name(std::string(name));
  event.set_json(std::move(json));
  event.set_step(step_);
  event.set_at(context_.now);
}

void Walk::remember(const ReadyStep& step) {
  const auto& rule = step.rule->remember();
  if (!step.field) return remember(rule.name(), step.value);
  const auto value = step.field->of(subject(object_of(event_)));
  remember(rule.name(), value ? boost::json::serialize(*value) : "null");
}

void Walk::send(const ReadyStep& step) {
  const auto& rule = step.rule->send();
  v1::RequestMessage request;
  request.set_message_id(message_id(context_.self, run_, visit_));
  request.set_instance(std::string(context_.self));
  request.set_journey(std::string(self_.journey));
  request.set_revision(revision_);
  request.set_step(step_);
  request.set_visit(visit_);
  request.set_via(rule.via());
  request.set_channel(rule.channel());
  request.set_template_(rule.template_());
  request.set_purpose(rule.purpose().empty() ? definition_.purpose() : rule.purpose());
  request.set_transactional(rule.transactional());
  request.set_event(event_);
  request.set_memory(memory_);
  request.set_caused_at(caused_at_);
  out_.send(customer_, std::move(request));
}

void Walk::ask(const ReadyStep& step) {
  v1::DecideStep question;
  question.set_instance(std::string(context_.self));
  question.set_journey(std::string(self_.journey));
  question.set_revision(revision_);
  question.set_step(step.rule->id());
  question.set_visit(visit_);
  question.set_event(event_);
  question.set_memory(memory_);
  question.set_key(key_);
  question.set_caused_at(caused_at_);
  out_.send(customer_, std::move(question));
}

int Walk::split(const ReadyStep& step) {
  const auto share = share_of(step.shares, context_.tenant, self_.journey, step_, self_.customer);
  const int to = step.shares[share].to;
  note("split", fmt::format("share {}: {}", share + 1, definition_.journey().steps(to).id()));
  return to;
}

void Walk::park(v1::ParkedCommand command) {
  auto& parked = *add().mutable_parked();
  *parked.mutable_command() = std::move(command);
  parked.set_at(context_.now);
}

void Walk::unpark() {
  add().mutable_parked()->set_at(context_.now);
}

void Walk::end(v1::RunStatus status, std::string_view reason) {
  auto& ended = *add().mutable_ended();
  ended.set_status(status);
  ended.set_reason(cut(reason));
  ended.set_at(context_.now);
  v1::RunFinished finished;
  finished.set_journey(std::string(self_.journey));
  finished.set_key(key_);
  finished.set_run(run_);
  finished.set_status(status == v1::RUN_STATUS_COMPLETED ? "completed" : "exited");
  finished.set_reason(cut(reason));
  out_.send(customer_, std::move(finished));
}

void Walk::replaced() {
  auto& ended = *add().mutable_ended();
  ended.set_status(v1::RUN_STATUS_EXITED);
  ended.set_reason("restarted");
  ended.set_at(context_.now);
}

bool Walk::awaits(const v1::RunEvent& event) const {
  const auto* at = here();
  if (at == nullptr || !at->rule->wait().has_until()) return false;
  return at->rule->wait().until().event().name() == event.name() &&
         at->where.holds(subject(object_of(event.event())));
}

bool Walk::leaves(const v1::RunEvent& event) const {
  for (const auto& exit : definition_.parts().exits)
    if (exit.event == event.name() && exit.where.holds(subject(object_of(event.event())))) return true;
  return false;
}

InstanceEntity::Out Walk::finish() {
  // A new reminder replaces the old one; so the old one is cancelled only where there is none.
  const bool acted = !out_.events.empty();
  if (wakes_ && acted && out_.reminders.empty()) out_.cancel(kWake);
  return std::move(out_);
}

}  // namespace cx::journey
