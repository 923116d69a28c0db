#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kinds.pb.h"

// Commands of the test kinds, in one line each.

namespace cx::test {

inline Add make_add(std::int64_t n) {
  Add add;
  add.set_n(n);
  return add;
}

inline AddRelaxed make_relaxed(std::int64_t n) {
  AddRelaxed add;
  add.set_n(n);
  return add;
}

inline Take make_take(std::int64_t n) {
  Take take;
  take.set_n(n);
  return take;
}

inline Deposit make_deposit(std::int64_t amount) {
  Deposit deposit;
  deposit.set_amount(amount);
  return deposit;
}

inline Transfer make_transfer(const std::string& to, std::int64_t amount,
                              const std::vector<std::string>& then = {}) {
  Transfer transfer;
  transfer.set_to(to);
  transfer.set_amount(amount);
  transfer.mutable_then()->Assign(then.begin(), then.end());
  return transfer;
}

inline SetAlarm make_alarm(const std::string& name, std::int64_t at, std::uint32_t times = 1,
                           std::uint32_t repeat_ms = 0) {
  SetAlarm set;
  set.set_name(name);
  set.set_at(at);
  set.set_times(times);
  set.set_repeat_ms(repeat_ms);
  return set;
}

inline CancelAlarm make_cancel(const std::string& name) {
  CancelAlarm cancel;
  cancel.set_name(name);
  return cancel;
}

}  // namespace cx::test
