#pragma once

#include "cx/v1/event.pb.h"

namespace cx {

/// What a call of that type is called: "track", "identify"; empty for none.
constexpr const char* word_of(v1::EventType type) {
  switch (type) {
    case v1::EVENT_TYPE_TRACK:
      return "track";
    case v1::EVENT_TYPE_IDENTIFY:
      return "identify";
    case v1::EVENT_TYPE_PAGE:
      return "page";
    case v1::EVENT_TYPE_SCREEN:
      return "screen";
    case v1::EVENT_TYPE_GROUP:
      return "group";
    case v1::EVENT_TYPE_ALIAS:
      return "alias";
    default:
      return "";
  }
}

}  // namespace cx
