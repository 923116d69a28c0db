#include "runtime/projection/page_token.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <memory>
#include <xxhash.h>

namespace cx {
namespace {

constexpr std::size_t kIdentity = 16;  // digits

const google::protobuf::FieldDescriptor* field(const google::protobuf::Message& request, const char* name) {
  return request.GetDescriptor()->FindFieldByName(name);
}

// Of the list that a request asks for, 16 hexadecimal digits. Such requests have no maps, whose order varies.
std::string identity(const google::protobuf::Message& request, std::string_view scope) {
  const std::unique_ptr<google::protobuf::Message> list(request.New());
  list->CopyFrom(request);
  for (const char* name : {"page_size", "page_token"})
    if (const auto* f = field(request, name)) list->GetReflection()->ClearField(list.get(), f);
  const auto bytes =
      fmt::format("{} {}:{} {}", request.GetTypeName(), scope.size(), scope, list->SerializeAsString());
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace

std::string make_page_token(const google::protobuf::Message& request, std::string_view scope,
                            std::string_view position) {
  auto token = identity(request, scope);
  for (const char c : position)
    fmt::format_to(std::back_inserter(token), "{:02x}", static_cast<unsigned char>(c));
  return token;
}

Error invalid_page_token() {
  return {Code::invalid_argument, "invalid-page-token",
          "The page token is not one of this list. Send it as it was given, with the same filters; or none, "
          "for the first page.",
          "/page_token"};
}

Result<std::string> page_position(const google::protobuf::Message& request, std::string_view scope) {
  const auto token = request.GetReflection()->GetString(request, field(request, "page_token"));
  if (token.empty()) return std::string();
  if (!token.starts_with(identity(request, scope)) || token.size() <= kIdentity || token.size() % 2 != 0)
    return invalid_page_token();
  std::string position;
  for (auto at = token.data() + kIdentity; at != token.data() + token.size(); at += 2) {
    unsigned byte = 0;
    if (std::from_chars(at, at + 2, byte, 16).ptr != at + 2) return invalid_page_token();
    position += static_cast<char>(byte);
  }
  return position;
}

std::int64_t page_rows(std::int64_t page_size) {
  return page_size <= 0 ? 50 : std::min<std::int64_t>(page_size, 1'000);
}

}  // namespace cx
