#pragma once

#include <google/protobuf/descriptor.h>
#include <string>

namespace cx {

/// The contract's descriptors with their doc comments, built once from the set that the build embeds.
/// Thread-safe; lives as long as the process.
const google::protobuf::DescriptorPool& contract();

/// The comment that stands above a message, field, method or enum value in its .proto, on one line and
/// trimmed; empty where there is none. `Descriptor` must come from contract().
template <class Descriptor>
std::string doc(const Descriptor& descriptor) {
  google::protobuf::SourceLocation where;
  if (!descriptor.GetSourceLocation(&where)) return {};
  std::string text;
  for (char c : where.leading_comments) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    if (!space)
      text += c;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace cx
