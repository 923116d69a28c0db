#include <algorithm>
#include <array>
#include <google/protobuf/util/time_util.h>

#include "actors/journey/parts.hpp"
#include "runtime/address.hpp"

namespace cx::journey {
namespace {

using condition::Roots;
using google::protobuf::Duration;

constexpr std::int64_t kLongest = 366 * 86'400;  // seconds
constexpr int kMostSteps = 200;
constexpr std::size_t kNameBytes = 200;
constexpr std::size_t kMemoryNameBytes = 64;
constexpr std::size_t kValueBytes = 8'192;
/// Templates read them as properties of any object.
constexpr std::array<std::string_view, 3> kReserved = {"first", "last", "size"};

/// Goes through a definition and notes what is wrong with each part by itself.
class Checker {
 public:
  explicit Checker(const v1::Journey& journey) : journey_(journey) {}

  std::vector<v1::JourneyProblem> run() {
    check_trigger();
    for (int i = 0; i < journey_.exit_on_size(); ++i)
      check_event(journey_.exit_on(i), kListeningRoots, "/exit_on/" + std::to_string(i));
    check_purpose(journey_.purpose(), "/purpose");
    if (journey_.steps_size() == 0) add("no-steps", "/steps", "A journey needs at least one step.");
    if (journey_.steps_size() > kMostSteps) {
      add("too-many-steps", "/steps",
          "A journey has at most 200 steps, and this one has " + std::to_string(journey_.steps_size()) + ".");
      return std::move(problems_);
    }
    for (int i = 0; i < journey_.steps_size(); ++i) {
      const auto& step = journey_.steps(i);
      const auto pointer = "/steps/" + std::to_string(i);
      if (check_name(step.id(), pointer + "/id", "A step's id") && !by_id_.emplace(step.id(), i).second)
        add("duplicate-step", pointer + "/id",
            "Step " + std::to_string(by_id_[step.id()]) + " is called " + step.id() +
                ", too. Give each an id of its own.");
    }
    for (int i = 0; i < journey_.steps_size(); ++i)
      check_step(journey_.steps(i), "/steps/" + std::to_string(i));
    check_graph(journey_, by_id_, problems_);
    return std::move(problems_);
  }

 private:
  void add(const char* type, std::string pointer, std::string detail) {
    auto& problem = problems_.emplace_back();
    problem.set_type(type);
    problem.set_pointer(std::move(pointer));
    problem.set_detail(std::move(detail));
  }
  void add(const Error& error) { add(error.type.c_str(), error.pointer, error.detail); }

  bool check_name(const std::string& name, const std::string& pointer, const std::string& what) {
    if (is_name(name)) return true;
    add("invalid-name", pointer,
        what + " is 1 to 63 characters of a-z, 0-9 and '-'" + (name.empty() ? ", and there is none." : "."));
    return false;
  }

  void check_purpose(const std::string& purpose, const std::string& pointer) {
    if (!purpose.empty()) check_name(purpose, pointer, "A purpose");
  }

  void check_condition(const v1::Condition& condition, Roots roots, const std::string& pointer) {
    if (const auto compiled = condition::Condition::compile(condition, roots, pointer); !compiled)
      add(compiled.error());
  }

  void check_field(const std::string& name, Roots roots, const std::string& pointer) {
    if (const auto field = condition::Field::parse(name, roots, pointer); !field) add(field.error());
  }

  void check_event(const v1::EventMatch& event, Roots roots, const std::string& pointer) {
    const auto& name = event.name();
    if (name.empty() || name.size() > kNameBytes)
      add("invalid-event", pointer + "/name",
          "Say which event: its name, of at most 200 bytes, or page, screen, identify or group.");
    if (event.has_where()) check_condition(event.where(), roots, pointer + "/where");
  }

  void check_trigger() {
    const auto& trigger = journey_.trigger();
    if (trigger.has_event() == trigger.has_api()) {
      add("invalid-trigger", "/trigger", "A journey starts by just one of event and api.");
      return;
    }
    if (trigger.has_event()) check_event(trigger.event(), trigger_roots(trigger), "/trigger/event");
    if (trigger.api().has_where())
      check_condition(trigger.api().where(), trigger_roots(trigger), "/trigger/api/where");
    if (!trigger.key().empty())
      if (const auto key = condition::Field::parse(trigger.key(), key_roots(trigger), "/trigger/key"); !key)
        add("invalid-key", key.error().pointer, key.error().detail);
    if (!v1::Trigger::ReEntry_IsValid(trigger.re_entry()))
      add("invalid-trigger", "/trigger/re_entry",
          "It is one of RE_ENTRY_AFTER_EXIT, RE_ENTRY_NEVER and RE_ENTRY_RESTART.");
  }

  void check_step(const v1::Step& step, const std::string& pointer) {
    const int kinds = int{step.has_send()} + int{step.has_remember()} + int{step.has_wait()} +
                      int{step.has_decide()} + int{step.has_split()} + int{step.has_exit()};
    if (kinds != 1) {
      add("invalid-step", pointer,
          "A step is just one of send, remember, wait, decide, split and exit; this one is " +
              (kinds == 0 ? "none." : std::to_string(kinds) + " of them."));
      return;
    }
    if (!step.next().empty()) {
      if (goes_on(step))
        check_next(step.next(), pointer + "/next");
      else
        add("meaningless-next", pointer + "/next",
            std::string("After ") + (step.has_exit() ? "an exit" : "a split") +
                " nothing goes on by itself. Remove next.");
    }
    if (step.has_send()) check_send(step.send(), pointer + "/send");
    if (step.has_remember()) check_remember(step.remember(), pointer + "/remember");
    if (step.has_wait()) check_wait(step.wait(), pointer + "/wait");
    if (step.has_decide()) check_decide(step.decide(), pointer + "/decide");
    if (step.has_split()) check_split(step.split(), pointer + "/split");
  }

  void check_next(const std::string& id, const std::string& pointer) {
    const auto& steps = journey_.steps();
    if (std::any_of(steps.begin(), steps.end(), [&](const auto& step) { return step.id() == id; })) return;
    add("unknown-step", pointer, id.empty() ? "Say to which step." : "There is no step called " + id + ".");
  }

  void check_send(const v1::SendStep& send, const std::string& pointer) {
    if (send.channel() == v1::CHANNEL_UNSPECIFIED || !v1::Channel_IsValid(send.channel()))
      add("missing-channel", pointer + "/channel", "Say by which channel: EMAIL, WEBHOOK, ...");
    if (send.via().empty())
      add("missing-channel", pointer + "/via", "Name the channel account that it goes out by.");
    else
      check_name(send.via(), pointer + "/via", "A channel account's id");
    if (send.template_().empty())
      add("missing-template", pointer + "/template", "Name the template of the message.");
    else
      check_name(send.template_(), pointer + "/template", "A template's id");
    check_purpose(send.purpose(), pointer + "/purpose");
  }

  void check_memory_name(const std::string& name, const std::string& pointer) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto good = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
    if (name.empty() || name.size() > kMemoryNameBytes || !letter(name.front()) ||
        !std::all_of(name.begin(), name.end(), good))
      add("invalid-name", pointer,
          "A name in the memory is 1 to 64 of letters, digits and '_', and does not begin with a digit.");
    else if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end())
      add("reserved-name", pointer,
          "In a template memory." + name +
              " means something else. Choose another name than first, last and size.");
  }

  void check_remember(const v1::RememberStep& remember, const std::string& pointer) {
    check_memory_name(remember.name(), pointer + "/name");
    if (remember.field().empty() != remember.has_value()) {
      add("invalid-step", pointer, "What is remembered is just one of field and value.");
      return;
    }
    if (!remember.has_value()) return check_field(remember.field(), kFieldRoots, pointer + "/field");
    if (remember.value().ByteSizeLong() > kValueBytes)
      add("too-large", pointer + "/value", "A value that is remembered has at most 8 KB.");
    if (remember.value().kind_case() == google::protobuf::Value::KIND_NOT_SET)
      add("invalid-step", pointer + "/value", "The value is missing.");
  }

  void check_duration(const Duration& duration, const std::string& pointer) {
    if (duration.seconds() >= 1 && duration.nanos() >= 0 && duration.nanos() <= 999'999'999 &&
        duration.seconds() + int{duration.nanos() > 0} <= kLongest)
      return;
    add("invalid-duration", pointer, "A wait takes one second to 366 days: \"86400s\" is a day.");
  }

  void check_wait(const v1::WaitStep& wait, const std::string& pointer) {
    const int kinds = int{wait.has_duration()} + int{wait.has_at()} + int{wait.has_until()};
    if (kinds != 1) {
      add("invalid-step", pointer, "A wait is just one of duration, at and until.");
      return;
    }
    if (wait.has_duration()) check_duration(wait.duration(), pointer + "/duration");
    if (wait.has_at()) {
      check_field(wait.at().field(), kFieldRoots, pointer + "/at/field");
      const auto& offset = wait.at().offset();
      if (offset.seconds() > kLongest || offset.seconds() < -kLongest || offset.nanos() > 999'999'999 ||
          offset.nanos() < -999'999'999)
        add("invalid-duration", pointer + "/at/offset", "An offset is at most 366 days either way.");
    }
    if (!wait.has_until()) return;
    const auto& until = wait.until();
    check_event(until.event(), kListeningRoots, pointer + "/until/event");
    check_duration(until.timeout(), pointer + "/until/timeout");
    if (!until.on_timeout().empty()) check_next(until.on_timeout(), pointer + "/until/on_timeout");
    if (!until.remember_as().empty()) check_memory_name(until.remember_as(), pointer + "/until/remember_as");
  }

  void check_decide(const v1::DecideStepRule& decide, const std::string& pointer) {
    if (decide.branches_size() == 0)
      add("invalid-step", pointer + "/branches", "A decision needs at least one branch.");
    for (int i = 0; i < decide.branches_size(); ++i) {
      const auto at = pointer + "/branches/" + std::to_string(i);
      check_condition(decide.branches(i).when(), kDecisionRoots, at + "/when");
      check_next(decide.branches(i).next(), at + "/next");
    }
  }

  void check_split(const v1::SplitStep& split, const std::string& pointer) {
    std::uint64_t sum = 0;
    for (int i = 0; i < split.shares_size(); ++i) {
      const auto& share = split.shares(i);
      sum += share.weight();
      check_next(share.next(), pointer + "/shares/" + std::to_string(i) + "/next");
    }
    if (sum == 0) add("no-weight", pointer + "/shares", "A split needs a share with a weight above zero.");
  }

  const v1::Journey& journey_;
  std::map<std::string, int, std::less<>> by_id_;
  std::vector<v1::JourneyProblem> problems_;
};

}  // namespace

condition::Roots trigger_roots(const v1::Trigger& trigger) {
  return {true, true, false, trigger.has_api()};
}

condition::Roots key_roots(const v1::Trigger& trigger) {
  return {false, true, false, trigger.has_api()};
}

std::vector<v1::JourneyProblem> problems_of(const v1::Journey& journey) {
  return Checker(journey).run();
}

}  // namespace cx::journey
