#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>

namespace cx {

/// Starts a drain, which calls what it is given when nothing is under way any more. Whether it did within
/// `patience`; it may do so later.
inline bool drained(const std::function<void(std::function<void()>)>& begin,
                    std::chrono::milliseconds patience) {
  const auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  begin([done] { done->set_value(); });
  return ended.wait_for(patience) == std::future_status::ready;
}

}  // namespace cx
