#include "runtime/entity/stored.hpp"

#include <charconv>
#include <fmt/format.h>

namespace cx {

Error unreadable(std::uint32_t shard, std::string_view what) {
  return {Code::internal, "corrupt",
          fmt::format("{} of shard {} is not what was written. Restore the data directory from a backup.",
                      what, shard),
          ""};
}

Result<std::uint64_t> checkpoint_of(const Journal& journal, std::uint32_t shard) {
  const RowKey key{shard, "checkpoint"};
  const auto row = std::move(journal.get(Table::meta, {&key, 1}).front());
  if (!row) return row.error();
  std::uint64_t checkpoint = 0;
  if (const auto& text = *row) std::from_chars(text->data(), text->data() + text->size(), checkpoint);
  return checkpoint;
}

void set_typed(v1::TypedBytes& to, const Message& from) {
  to.set_type(from.GetDescriptor()->full_name());
  *to.mutable_bytes() = serialize(from);
}

MessagePtr read_typed(const v1::TypedBytes& from) {
  if (from.type().empty()) return nullptr;
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(from.type());
  if (type == nullptr) return nullptr;
  auto message = std::shared_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!message->ParseFromString(from.bytes())) return nullptr;
  return message;
}

}  // namespace cx
