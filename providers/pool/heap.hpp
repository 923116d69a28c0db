#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace cx::pool {

inline constexpr std::uint32_t kNowhere = 0xffff'ffff;  ///< place of a node that is in no heap

/// A binary min-heap of nodes (by index in a deque) that a node can leave from the middle, as each knows its
/// place in `Place`. O(log n) but for first().
template <class Node, std::uint32_t Node::*Place>
class Heap {
 public:
  struct Entry {
    std::int64_t rank;
    std::uint32_t node;
  };
  using Nodes = std::deque<Node>;

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  /// Of the least rank; not when empty.
  const Entry& first() const { return entries_.front(); }

  /// Puts a node in, or moves it to another rank.
  void set(Nodes& nodes, std::uint32_t node, std::int64_t rank) {
    auto at = nodes[node].*Place;
    if (at == kNowhere) {
      at = static_cast<std::uint32_t>(entries_.size());
      entries_.push_back({rank, node});
    } else {
      entries_[at].rank = rank;
    }
    sink(nodes, rise(nodes, at));
  }
  /// Takes a node out, if it is in.
  void remove(Nodes& nodes, std::uint32_t node) {
    const auto at = std::exchange(nodes[node].*Place, kNowhere);
    if (at == kNowhere) return;
    const auto last = entries_.back();
    entries_.pop_back();
    if (last.node == node) return;
    put(nodes, at, last);
    sink(nodes, rise(nodes, at));
  }
  /// Gives memory back when it has room for more than so many.
  void release_memory(std::size_t more_than) {
    if (entries_.capacity() > more_than) entries_.shrink_to_fit();
  }

 private:
  void put(Nodes& nodes, std::uint32_t at, Entry entry) {
    entries_[at] = entry;
    nodes[entry.node].*Place = at;
  }
  std::uint32_t rise(Nodes& nodes, std::uint32_t at) {
    const auto entry = entries_[at];
    for (; at > 0 && entry.rank < entries_[(at - 1) / 2].rank; at = (at - 1) / 2)
      put(nodes, at, entries_[(at - 1) / 2]);
    put(nodes, at, entry);
    return at;
  }
  void sink(Nodes& nodes, std::uint32_t at) {
    const auto entry = entries_[at];
    for (;;) {
      std::size_t child = 2 * std::size_t{at} + 1;
      if (child >= entries_.size()) break;
      if (child + 1 < entries_.size() && entries_[child + 1].rank < entries_[child].rank) ++child;
      if (entries_[child].rank >= entry.rank) break;
      put(nodes, at, entries_[child]);
      at = static_cast<std::uint32_t>(child);
    }
    put(nodes, at, entry);
  }

  std::vector<Entry> entries_;
};

}  // namespace cx::pool
