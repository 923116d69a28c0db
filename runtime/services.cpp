#include "runtime/services.hpp"

#include <spdlog/spdlog.h>

namespace cx {

void answer(const Services::Respond& respond, const std::function<Services::Reply()>& work) {
  guarded(respond, [&] { respond(work()); });
}

void guarded(const Services::Respond& respond, const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& e) {
    spdlog::error("a request failed: {}", e.what());
    respond(Error{Code::internal, "internal", "The request failed; the node's log says why.", ""});
  }
}

}  // namespace cx
