#pragma once

#include <functional>
#include <google/protobuf/descriptor.h>
#include <string>

namespace cx {

/// The contract's descriptors with their doc comments, built once from the set that the build embeds.
/// Thread-safe; lives as long as the process.
const google::protobuf::DescriptorPool& contract();

/// Calls `visit` with every service of the contract, in order of declaration. These descriptors are the
/// generated code's, so that our options can be read off them by extension (cx/v1/options.pb.h); their
/// comments are found in contract().
void for_each_service(const std::function<void(const google::protobuf::ServiceDescriptor&)>& visit);

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
