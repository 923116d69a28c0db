#include "providers/pool/heap.hpp"

#include <doctest/doctest.h>
#include <map>
#include <rapidcheck.h>

namespace cx::pool {

TEST_CASE("a heap gives the least, whoever moved or left in between") {
  struct Node {
    std::uint32_t place = kNowhere;
  };
  CHECK(rc::check([](const std::vector<std::tuple<std::uint8_t, std::int8_t, bool>>& steps) {
    std::deque<Node> nodes(256);
    Heap<Node, &Node::place> heap;
    std::map<std::uint32_t, std::int64_t> ranks;
    for (const auto& [node, rank, leaves] : steps) {
      if (leaves) {
        heap.remove(nodes, node);
        ranks.erase(node);
      } else {
        heap.set(nodes, node, rank);
        ranks[node] = rank;
      }
      RC_ASSERT(heap.size() == ranks.size());
      if (ranks.empty()) continue;
      const auto least =
          std::min_element(ranks.begin(), ranks.end(), [](auto& a, auto& b) { return a.second < b.second; });
      RC_ASSERT(heap.first().rank == least->second);
      RC_ASSERT(ranks.at(heap.first().node) == least->second);
    }
    while (!heap.empty()) {
      const auto first = heap.first();
      for (const auto& [node, rank] : ranks) RC_ASSERT(first.rank <= rank);
      heap.remove(nodes, first.node);
      ranks.erase(first.node);
    }
  }));
}

}  // namespace cx::pool
