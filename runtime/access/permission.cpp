#include "runtime/access/permission.hpp"

#include <algorithm>

#include "cx/v1/permission.pb.h"

namespace cx {
namespace {

constexpr std::string_view kPrefix = "PERMISSION_";

char upper(char c) {
  return c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}
char lower(char c) {
  return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

Permissions permissions_of(std::string_view resource) {
  Permissions some;
  const auto& type = *v1::Permission_descriptor();
  for (int i = 1; i < type.value_count(); ++i)
    if (permission_name(static_cast<std::size_t>(i)).starts_with(resource))
      some.set(static_cast<std::size_t>(i));
  return some;
}

}  // namespace

std::optional<std::size_t> permission_number(std::string_view name) {
  if (std::count(name.begin(), name.end(), '.') != 1) return std::nullopt;
  std::string value(kPrefix);
  for (const char c : name) value += upper(c);
  v1::Permission permission;
  if (permission_name(0) == name || !v1::Permission_Parse(value, &permission)) return std::nullopt;
  const auto number = static_cast<std::size_t>(permission);
  // "CAMPAIGN.READ" is no name of it.
  return permission_name(number) == name ? std::optional(number) : std::nullopt;
}

std::string permission_name(std::size_t number) {
  std::string name = v1::Permission_Name(static_cast<v1::Permission>(number)).substr(kPrefix.size());
  std::transform(name.begin(), name.end(), name.begin(), lower);
  if (const auto at = name.find('_'); at != name.npos) name[at] = '.';
  return name;
}

const Permissions& all_permissions() {
  static const Permissions all = permissions_of("");
  return all;
}

const Permissions& system_permissions() {
  static const Permissions some = permissions_of("system.");
  return some;
}

}  // namespace cx
