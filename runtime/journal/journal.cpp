#include "runtime/journal/journal.hpp"

namespace cx {
namespace {

void put(std::string& key, std::uint64_t number, int bytes) {
  while (bytes-- > 0) key += static_cast<char>(number >> (8 * bytes));
}

/// Makes negative numbers sort before positive ones.
constexpr std::uint64_t kSign = std::uint64_t{1} << 63;

}  // namespace

std::string reminder_key(std::int64_t due, std::string_view entity, std::string_view name) {
  std::string key;
  key.reserve(9 + entity.size() + name.size());
  put(key, static_cast<std::uint64_t>(due) ^ kSign, 8);
  key += entity;
  key += '\0';  // part of no address
  key += name;
  return key;
}

std::string outbox_key(std::uint64_t sequence, std::uint32_t index) {
  std::string key;
  put(key, sequence ^ kSign, 8);
  put(key, index, 4);
  return key;
}

std::int64_t key_number(std::string_view key) {
  std::uint64_t number = 0;
  for (const char c : key.substr(0, 8)) number = (number << 8) | static_cast<std::uint8_t>(c);
  return static_cast<std::int64_t>(number ^ kSign);
}

}  // namespace cx
