#pragma once

#include <caf/actor_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>
#include <utility>

#include "runtime/telemetry/metrics.hpp"

namespace cx {

/// An actor that counts its kind's life, messages and failures: CAF 0.17 has no metrics of its own. `Base` is
/// an event-based actor class, typed or not.
template <class Base>
class Metered : public Base {
 public:
  Metered(caf::actor_config& config, KindProbe& probe) : Base(config), probe_(probe) { probe_.live.add(); }
  ~Metered() override { probe_.live.add(-1); }

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override {
    probe_.enqueued.add();
    Base::enqueue(std::move(element), unit);
  }
  using Base::enqueue;

  const char* name() const override { return probe_.name.c_str(); }

 protected:
  caf::invoke_message_result consume(caf::mailbox_element& element) override {
    probe_.handled.total.add();
    return Base::consume(element);
  }
  using Base::consume;

  bool cleanup(caf::error&& reason, caf::execution_unit* unit) override {
    // Whatever ended it is a failure, unless somebody asked for it or nobody holds it any more.
    if (reason && reason.category() != caf::atom("exit")) probe_.failures.add();
    if (reason == caf::exit_reason::unhandled_exception) probe_.failures.add();
    return Base::cleanup(std::move(reason), unit);
  }

  KindProbe& probe() { return probe_; }

 private:
  KindProbe& probe_;
};

}  // namespace cx
