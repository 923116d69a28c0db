#include "runtime/journal/committer.hpp"

#include <iterator>
#include <utility>

namespace cx {

Committer::Committer(Journal& journal, Executor& executor, bool sync_always)
    : journal_(journal), sync_always_(sync_always), task_(executor, [this] {
        commit();
        return false;  // whatever came meanwhile has woken us again
      }) {}

void Committer::submit(std::vector<Append> appends, Done done) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(appends), std::move(done)});
  }
  task_.wake();
}

void Committer::commit() {
  std::vector<Waiting> group;
  {
    const std::lock_guard lock(mutex_);
    group.swap(waiting_);
  }
  if (group.empty()) return;  // an earlier turn took what woke this one
  std::vector<Append> appends;
  for (auto& waiting : group)
    appends.insert(appends.end(), std::move_iterator(waiting.appends.begin()),
                   std::move_iterator(waiting.appends.end()));
  auto results = journal_.append(appends, sync_always_);
  commits_.fetch_add(1, std::memory_order_relaxed);
  appends_.fetch_add(appends.size(), std::memory_order_relaxed);
  for (std::size_t i = 0; followed_ && i < appends.size(); ++i)
    if (appends[i].followed && !results[i]) followed_(appends[i].shard);
  auto next = std::move_iterator(results.begin());
  for (auto& waiting : group) {
    const auto end = next + static_cast<std::ptrdiff_t>(waiting.appends.size());
    waiting.done({next, end});
    next = end;
  }
}

}  // namespace cx
