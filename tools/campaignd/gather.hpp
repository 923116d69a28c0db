#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "tools/campaignd/peers.hpp"

namespace cx {

/// Asks every other member of the cluster the same, and tells what each answered once all have.
inline void ask_all(Peers& peers, const MessagePtr& question,
                    std::function<void(std::vector<std::pair<v1::Member, Answer>>)> then) {
  struct Gathered {
    std::mutex mutex;
    std::vector<std::pair<v1::Member, Answer>> answers;
    std::size_t missing = 0;
  };
  const auto topology = peers.topology();
  auto gathered = std::make_shared<Gathered>();
  for (const auto& [incarnation, member] : topology->members)
    if (incarnation != topology->self)
      gathered->answers.emplace_back(member, Error{Code::unavailable, "unreachable", "No answer.", ""});
  gathered->missing = gathered->answers.size();
  if (gathered->missing == 0) return then({});
  std::size_t i = 0;
  for (const auto& [incarnation, member] : topology->members) {
    if (incarnation == topology->self) continue;
    peers.ask(incarnation, question, [gathered, i, then](Answer answer) {
      {
        const std::lock_guard lock(gathered->mutex);
        gathered->answers[i].second = std::move(answer);
        if (--gathered->missing > 0) return;
      }
      then(std::move(gathered->answers));
    });
    ++i;
  }
}

}  // namespace cx
