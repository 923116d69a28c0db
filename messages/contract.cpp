#include "messages/contract.hpp"

#include <cstdint>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "messages/contract_file.hpp"

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

struct EmbeddedFile {
  std::string name;
  std::string_view bytes;  ///< a FileDescriptorProto
};

/// The files, found without parsing what is in them: most of it is comments and where they stand, which take
/// milliseconds. The set is field 1, repeated, of files whose field 1 is the name.
const std::vector<EmbeddedFile>& embedded_files() {
  using google::protobuf::io::CodedInputStream;
  static const auto* files = [] {
    constexpr std::uint32_t kField1 = 10;  // length-delimited
    auto* found = new std::vector<EmbeddedFile>;
    CodedInputStream in(reinterpret_cast<const std::uint8_t*>(contract_bytes.data()),
                        static_cast<int>(contract_bytes.size()));
    std::uint32_t size = 0, name = 0;
    while (in.ReadTag() == kField1 && in.ReadVarint32(&size)) {
      const int begin = in.CurrentPosition(), end = begin + static_cast<int>(size);
      auto& file =
          found->emplace_back(EmbeddedFile{"", contract_bytes.substr(static_cast<std::size_t>(begin), size)});
      if (in.ReadTag() != kField1 || !in.ReadVarint32(&name) ||
          !in.ReadString(&file.name, static_cast<int>(name)) || !in.Skip(end - in.CurrentPosition()))
        throw std::logic_error("the embedded contract does not parse");
    }
    return found;
  }();
  return *files;
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
  for (const auto& [name, bytes] : embedded_files()) {
    const auto* file = google::protobuf::DescriptorPool::generated_pool()->FindFileByName(name);
    for (int i = 0; file != nullptr && i < file->service_count(); ++i) visit(*file->service(i));
  }
}

const google::protobuf::FileDescriptorProto* contract_file(const std::string& name) {
  static std::mutex mutex;
  static auto& parsed = *new std::map<std::string, google::protobuf::FileDescriptorProto>;
  const std::lock_guard lock(mutex);
  if (const auto known = parsed.find(name); known != parsed.end()) return &known->second;
  for (const auto& file : embedded_files()) {
    if (file.name != name) continue;
    auto& made = parsed[name];
    if (!made.ParseFromArray(file.bytes.data(), static_cast<int>(file.bytes.size())))
      throw std::logic_error("the embedded contract does not parse: " + name);
    return &made;
  }
  return nullptr;
}

}  // namespace cx
