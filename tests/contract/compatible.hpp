#pragma once

#include <google/protobuf/descriptor.h>
#include <string>
#include <vector>

namespace cx::test {

/// What of a contract cannot be taken back: it would break those who call, or who read what was written with
/// the contract as it was, or let in who was kept out. One line each, "cx.v1.Money.micros: is another type,
/// ...", in order of declaration. Empty where `now` is compatible with `before`.
///
/// What may go is what is declared `reserved`: fields and values of enums. Fields keep number, name and type;
/// methods keep types, route, permission, target and what they do; a field's bounds do not get narrower, and
/// what protects it stays.
std::vector<std::string> breaking_changes(const std::vector<const google::protobuf::FileDescriptor*>& before,
                                          const std::vector<const google::protobuf::FileDescriptor*>& now);

}  // namespace cx::test
