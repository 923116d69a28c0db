#pragma once

#include <google/protobuf/message.h>
#include <memory>
#include <string>
#include <string_view>

/// google.protobuf.Any by reflection, so that also a dynamic message's is understood.
namespace cx::json {

/// An empty message of the type that `url` ("type.googleapis.com/cx.v1.Campaign") names in the generated
/// pool; null if there is none.
std::unique_ptr<google::protobuf::Message> make_any(std::string_view url);

/// What `any` holds; null if its type is unknown or its bytes are not a message of that type.
std::unique_ptr<google::protobuf::Message> unpack(const google::protobuf::Message& any);

/// Makes `any` hold `message`; equal messages give equal bytes.
void pack(google::protobuf::Message& any, std::string url, const google::protobuf::Message& message);

std::string type_url(const google::protobuf::Message& any);

}  // namespace cx::json
