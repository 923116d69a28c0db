#include "runtime/entity/kind.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "cx/v1/options.pb.h"

namespace cx {

std::string serialize(const Message& message) {
  std::string bytes(message.ByteSizeLong(), '\0');
  google::protobuf::io::ArrayOutputStream into(bytes.data(), static_cast<int>(bytes.size()));
  {
    google::protobuf::io::CodedOutputStream out(&into);  // writes the last of it when it goes
    out.SetSerializationDeterministic(true);
    message.SerializeWithCachedSizes(&out);
  }
  return bytes;
}

const Message* Endpoint::command(std::string_view full_name) const {
  for (const auto* prototype : commands)
    if (prototype->GetDescriptor()->full_name() == full_name) return prototype;
  return nullptr;
}

void EntityKind::add(const Message& prototype, bool query) {
  const auto* type = prototype.GetDescriptor();
  commands_.emplace(
      type, CommandType{&prototype, commands_.size(), type->options().GetExtension(v1::relaxed), query});
}

const CommandType* EntityKind::command(const google::protobuf::Descriptor* type) const {
  const auto found = commands_.find(type);
  return found == commands_.end() ? nullptr : &found->second;
}

const CommandType* EntityKind::command(const std::string& full_name) const {
  for (const auto& [type, command] : commands_)
    if (type->full_name() == full_name) return &command;
  return nullptr;
}

}  // namespace cx
