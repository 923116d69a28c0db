#include "messages/contract.hpp"

#include <google/protobuf/descriptor.pb.h>
#include <stdexcept>
#include <string_view>

namespace cx {

extern const std::string_view contract_bytes;  // the embedded descriptor set

namespace {

const google::protobuf::FileDescriptorSet& files() {
  static const auto* set = [] {
    auto* parsed = new google::protobuf::FileDescriptorSet;  // never destroyed: used until the process ends
    if (!parsed->ParseFromArray(contract_bytes.data(), static_cast<int>(contract_bytes.size())))
      throw std::logic_error("the embedded contract does not parse");
    return parsed;
  }();
  return *set;
}

}  // namespace

const google::protobuf::DescriptorPool& contract() {
  static const auto* pool = [] {
    auto* built = new google::protobuf::DescriptorPool;
    for (const auto& file : files().file())
      if (!built->BuildFile(file))
        throw std::logic_error("the embedded contract is inconsistent: " + file.name());
    return built;
  }();
  return *pool;
}

void for_each_service(const std::function<void(const google::protobuf::ServiceDescriptor&)>& visit) {
  for (const auto& named : files().file()) {
    const auto* file = google::protobuf::DescriptorPool::generated_pool()->FindFileByName(named.name());
    for (int i = 0; file != nullptr && i < file->service_count(); ++i) visit(*file->service(i));
  }
}

}  // namespace cx
