#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/liquid/tree.hpp"

namespace cx::liquid {

/// Finds out, while a template is parsed from front to back, what it reads of its data.
class Names {
 public:
  /// From here on the template has set `name` itself.
  void set(std::string_view name) { set_.insert(name); }
  /// Inside of a loop the names of the loop hide others.
  void enter(std::string_view name) { inner_.push_back(name); }
  void leave() { inner_.pop_back(); }

  void read(const Lookup& lookup);
  void ask_for_partial(std::string_view name) { partials_.emplace(name); }

  std::vector<std::string> reads() const { return {reads_.begin(), reads_.end()}; }
  std::vector<std::string> partials() const { return {partials_.begin(), partials_.end()}; }

 private:
  std::set<std::string_view> set_;
  std::vector<std::string_view> inner_;
  std::set<std::string> reads_;
  std::set<std::string> partials_;
};

}  // namespace cx::liquid
