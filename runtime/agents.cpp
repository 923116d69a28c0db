#include "runtime/agents.hpp"

#include <caf/send.hpp>

namespace cx {

AgentPool::AgentPool(std::vector<caf::actor> agents, std::uint32_t credit_each) : credit_each_(credit_each) {
  for (auto& agent : agents)
    agents_.push_back({std::move(agent), std::make_shared<std::atomic<std::uint32_t>>(0)});
}

bool AgentPool::post(RawRequest& request) {
  const auto first = next_.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < agents_.size(); ++i) {
    Agent& agent = agents_[(first + i) % agents_.size()];
    // Two gateways may pass this test together and overshoot by one each: the bound is soft by the number of
    // threads.
    if (agent.busy->load(std::memory_order_relaxed) >= credit_each_) continue;
    request.reply.charge(agent.busy);
    caf::anon_send(agent.actor, std::move(request));
    return true;
  }
  return false;
}

std::size_t AgentPool::under_way() const {
  std::size_t sum = 0;
  for (const Agent& agent : agents_) sum += agent.busy->load(std::memory_order_relaxed);
  return sum;
}

}  // namespace cx
