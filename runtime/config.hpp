#pragma once

#include <google/protobuf/message.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

namespace cx {

/// Sets fields of `config` from a YAML document. Keys are field names; every key must exist, have the field's
/// type and keep its `range` or `one_of` (cx/v1/options.proto). An error's detail names `source`, line,
/// column, key and what would do. Fields that the document does not name keep their values.
std::optional<Error> read_yaml(std::string_view yaml, const std::string& source,
                               google::protobuf::Message& config);

/// As read_yaml, from a file.
std::optional<Error> read_yaml_file(const std::string& path, google::protobuf::Message& config);

/// A leaf of a configuration message. Maps and lists of messages are not settings: they have no flag. A list
/// of texts is one, as text with commas between.
struct Setting {
  std::string key;   ///< "http.port"
  std::string flag;  ///< "--http-port"
  std::string help;  ///< the doc comment
  std::string type;  ///< "number 0..65535", "text", "true|false", "debug|info"
};

/// Every leaf of a message of the contract, in order of declaration.
std::vector<Setting> settings_of(const std::string& message_name);

/// Sets the leaf `key` from text, under the same rules as read_yaml.
std::optional<Error> set_setting(google::protobuf::Message& config, std::string_view key,
                                 const std::string& value, const std::string& source);

/// The value of leaf `key` as text.
std::string get_setting(const google::protobuf::Message& config, std::string_view key);

}  // namespace cx
