#pragma once

#include <google/protobuf/descriptor.h>
#include <string>
#include <string_view>
#include <vector>

#include "messages/kebab.hpp"

namespace cx::ctl {

using cx::kebab;

/// An enum's value without the prefix that all of its type share: "in-review" for CAMPAIGN_STAGE_IN_REVIEW.
std::string short_name(const google::protobuf::EnumValueDescriptor& value);
/// The short names of a type's values but for the one that says nothing, X_UNSPECIFIED.
std::vector<std::string> short_names(const google::protobuf::EnumDescriptor& type);
/// The value of a short or a full name in any case; null where there is none.
const google::protobuf::EnumValueDescriptor* find_value(const google::protobuf::EnumDescriptor& type,
                                                        std::string_view name);

/// The doc comment of what the generated code describes; empty where there is none.
std::string doc_of(const google::protobuf::FieldDescriptor& field);
std::string doc_of(const google::protobuf::MethodDescriptor& method);
std::string doc_of(const google::protobuf::ServiceDescriptor& service);
std::string doc_of(const google::protobuf::Descriptor& type);
std::string doc_of(const google::protobuf::EnumDescriptor& type);
std::string doc_of(const google::protobuf::EnumValueDescriptor& value);

/// Up to the first full stop that ends a sentence, which is left out; all of it where there is none.
std::string first_sentence(std::string_view text);

/// Lines of at most `columns`, broken at spaces.
std::vector<std::string> wrap(std::string_view text, std::size_t columns);

/// {micros, currency}, which people write as 1500.00USD.
bool is_money(const google::protobuf::Descriptor* type);
/// A message of google.protobuf, which JSON has as one value.
bool is_well_known(const google::protobuf::Descriptor* type);

}  // namespace cx::ctl
