#include "actors/journey/parts.hpp"

namespace cx::journey {
namespace {

using ById = std::map<std::string, int, std::less<>>;

/// Whether time passes at a step, always: one that waits for a moment may find that it is past.
bool waits(const v1::Step& step) {
  return step.has_wait() && !step.wait().has_at();
}

std::string at_step(int i) {
  return "/steps/" + std::to_string(i);
}

void add(std::vector<v1::JourneyProblem>& problems, const char* type, std::string pointer,
         std::string detail) {
  auto& problem = problems.emplace_back();
  problem.set_type(type);
  problem.set_pointer(std::move(pointer));
  problem.set_detail(std::move(detail));
}

/// Finds cycles among the steps that do not wait, depth first, each by the step that closes it.
class Cycles {
 public:
  Cycles(const v1::Journey& journey, const ById& by_id, std::vector<v1::JourneyProblem>& problems)
      : journey_(journey),
        by_id_(by_id),
        problems_(problems),
        seen_(static_cast<std::size_t>(journey.steps_size()), Seen::no) {}

  void find() {
    for (int i = 0; i < journey_.steps_size(); ++i) visit(i);
  }

 private:
  enum class Seen { no, on_the_way, done };

  void visit(int i) {  // as deep as there are steps: at most 200
    if (waits(journey_.steps(i)) || seen(i) == Seen::done) return;
    if (seen(i) == Seen::on_the_way) return report(i);
    seen(i) = Seen::on_the_way;
    way_.push_back(i);
    for (const int to : leads_to(journey_, by_id_, i)) visit(to);
    way_.pop_back();
    seen(i) = Seen::done;
  }

  void report(int start) {
    std::string names;
    bool within = false;
    for (const int i : way_) {
      within = within || i == start;
      if (within) names += journey_.steps(i).id() + " → ";
    }
    add(problems_, "cycle-without-wait", at_step(way_.back()),
        "The steps " + names + journey_.steps(start).id() +
            " lead back to where they began without a wait that takes time. Put a wait for a duration or an "
            "event "
            "among them, or lead elsewhere.");
  }

  Seen& seen(int i) { return seen_[static_cast<std::size_t>(i)]; }

  const v1::Journey& journey_;
  const ById& by_id_;
  std::vector<v1::JourneyProblem>& problems_;
  std::vector<Seen> seen_;
  std::vector<int> way_;
};

void check_reachable(const v1::Journey& journey, const ById& by_id,
                     std::vector<v1::JourneyProblem>& problems) {
  std::vector<bool> reached(static_cast<std::size_t>(journey.steps_size()));
  std::vector<int> open = {0};
  reached[0] = true;
  while (!open.empty()) {
    const int i = open.back();
    open.pop_back();
    for (const int to : leads_to(journey, by_id, i)) {
      if (reached[static_cast<std::size_t>(to)]) continue;
      reached[static_cast<std::size_t>(to)] = true;
      open.push_back(to);
    }
  }
  for (int i = 0; i < journey.steps_size(); ++i)
    if (!reached[static_cast<std::size_t>(i)])
      add(problems, "unreachable-step", at_step(i),
          "No way leads from the first step to " + journey.steps(i).id() + ". Lead to it, or remove it.");
}

}  // namespace

bool goes_on(const v1::Step& step) {
  return step.has_send() || step.has_remember() || step.has_wait() || step.has_decide();
}

std::vector<int> leads_to(const v1::Journey& journey, const ById& by_id, int i) {
  std::vector<int> out;
  const auto to = [&](const std::string& id) {
    if (const auto at = by_id.find(id); at != by_id.end()) out.push_back(at->second);
  };
  const auto& step = journey.steps(i);
  for (const auto& branch : step.decide().branches()) to(branch.next());
  for (const auto& share : step.split().shares()) to(share.next());
  if (!step.wait().until().on_timeout().empty()) to(step.wait().until().on_timeout());
  if (goes_on(step)) {
    if (!step.next().empty())
      to(step.next());
    else if (i + 1 < journey.steps_size())
      out.push_back(i + 1);
  }
  return out;
}

void check_graph(const v1::Journey& journey, const ById& by_id, std::vector<v1::JourneyProblem>& problems) {
  if (journey.steps_size() == 0) return;
  check_reachable(journey, by_id, problems);
  Cycles(journey, by_id, problems).find();
  const int last = journey.steps_size() - 1;
  if (goes_on(journey.steps(last)) && journey.steps(last).next().empty())
    add(problems, "missing-exit", at_step(last),
        "After " + journey.steps(last).id() +
            " nothing follows. Add an exit, or say in next where to go on.");
}

}  // namespace cx::journey
