#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "runtime/liquid/filters.hpp"

namespace cx::liquid {

/// A value as a text, paid for.
struct Reading {
  std::string buffer;
  std::string_view view;

  Reading(const Value& value, Work& work) : view(text_of(value, buffer, work)) { work.bytes(view.size()); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
};

/// A filter's result, paid for.
inline Value made(Call& call, std::string text, bool safe = false) {
  call.work.bytes(text.size());
  return Value::made(std::move(text), safe);
}

}  // namespace cx::liquid
