#include "messages/contract.hpp"

#include <google/protobuf/descriptor.pb.h>
#include <stdexcept>
#include <string_view>

namespace cx {

extern const std::string_view contract_bytes;

const google::protobuf::DescriptorPool& contract() {
  static const auto* pool = [] {
    google::protobuf::FileDescriptorSet set;
    if (!set.ParseFromArray(contract_bytes.data(), static_cast<int>(contract_bytes.size())))
      throw std::logic_error("the embedded contract does not parse");
    auto* built = new google::protobuf::DescriptorPool;  // never destroyed: used until the process ends
    for (const auto& file : set.file())
      if (!built->BuildFile(file))
        throw std::logic_error("the embedded contract is inconsistent: " + file.name());
    return built;
  }();
  return *pool;
}

}  // namespace cx
