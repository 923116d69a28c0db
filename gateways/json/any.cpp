#include "gateways/json/any.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace cx::json {

using google::protobuf::Message;

namespace {

const google::protobuf::FieldDescriptor* field(const Message& any, int number) {
  return any.GetDescriptor()->FindFieldByNumber(number);
}

constexpr int kUrl = 1, kValue = 2;

}  // namespace

std::unique_ptr<Message> make_any(std::string_view url) {
  const auto slash = url.rfind('/');
  if (slash == url.npos) return nullptr;
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      std::string(url.substr(slash + 1)));
  if (type == nullptr) return nullptr;
  const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  return prototype == nullptr ? nullptr : std::unique_ptr<Message>(prototype->New());
}

std::unique_ptr<Message> unpack(const Message& any) {
  auto message = make_any(type_url(any));
  if (message == nullptr) return nullptr;
  std::string scratch;
  const auto& bytes = any.GetReflection()->GetStringReference(any, field(any, kValue), &scratch);
  if (!message->ParseFromString(bytes)) return nullptr;
  return message;
}

void pack(Message& any, std::string url, const Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream into(&bytes);
    google::protobuf::io::CodedOutputStream out(&into);  // writes the last of it when it goes
    out.SetSerializationDeterministic(true);
    message.SerializePartialToCodedStream(&out);
  }
  const auto* reflection = any.GetReflection();
  reflection->SetString(&any, field(any, kUrl), std::move(url));
  reflection->SetString(&any, field(any, kValue), std::move(bytes));
}

std::string type_url(const Message& any) {
  return any.GetReflection()->GetString(any, field(any, kUrl));
}

}  // namespace cx::json
