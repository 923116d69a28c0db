#include "gateways/nats/subjects.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <stdexcept>

#include "messages/kebab.hpp"

namespace cx::nats_gateway {
namespace {

constexpr std::string_view kReplies = "replies";
constexpr std::size_t kMaxName = 63, kMaxSubject = 512;  // characters

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

/// Whether it is one subject of the printable kind, not a pattern.
bool is_plain(std::string_view subject) {
  if (subject.empty() || subject.size() > kMaxSubject || subject.front() == '.' || subject.back() == '.')
    return false;
  for (std::size_t i = 0; i < subject.size(); ++i) {
    const char c = subject[i];
    if (c <= 0x20 || c > 0x7e || c == '*' || c == '>' || (c == '.' && subject[i - 1] == '.')) return false;
  }
  return true;
}

/// Cuts the first token off; whether there was a dot behind it.
bool next(std::string_view& rest, std::string_view& token) {
  const auto dot = rest.find('.');
  token = rest.substr(0, dot);
  rest.remove_prefix(std::min(token.size() + 1, rest.size()));
  return dot != rest.npos;
}

bool starts_with(std::string_view& text, std::string_view start) {
  if (text.substr(0, start.size()) != start) return false;
  text.remove_prefix(start.size());
  return true;
}

}  // namespace

Words words_of(const Method& method) {
  const auto& service = *method.descriptor->service();
  const auto& noun = service.options().GetExtension(v1::noun);
  return {noun.empty() ? kebab(service.name()) : noun, kebab(method.descriptor->name())};
}

std::string subject_of(std::string_view prefix, std::string_view tenant, std::string_view service,
                       std::string_view method) {
  return fmt::format("{}.{}.{}.{}", prefix, tenant, service, method);
}

std::optional<Subject> read_subject(std::string_view prefix, std::string_view subject) {
  if (!starts_with(subject, prefix) || !starts_with(subject, ".")) return std::nullopt;
  Subject read;
  if (!next(subject, read.tenant) || !next(subject, read.service) || next(subject, read.method))
    return std::nullopt;
  if (!is_name(read.tenant) || !is_name(read.service) || !is_name(read.method)) return std::nullopt;
  return read;
}

std::vector<std::string> patterns_of(std::string_view prefix, std::span<const Method> methods) {
  std::set<Words> words;
  std::set<std::string> mixed;  // services with methods that are not raw
  for (const auto& method : methods) {
    const auto here = words_of(method);
    if (!is_name(here.service) || !is_name(here.method) || here.service == kReplies ||
        here.method == kQueue || here.method == kDead)
      throw std::logic_error(fmt::format("{}: nothing may be called '{}.{}' in subjects", method.name,
                                         here.service, here.method));
    if (!words.insert(here).second)
      throw std::logic_error(
          fmt::format("{}: another method is called '{}.{}' too", method.name, here.service, here.method));
    if (!method.is_raw) mixed.insert(here.service);
  }
  std::set<std::string> patterns;
  for (const auto& [service, method] : words)
    patterns.insert(subject_of(prefix, "*", service, mixed.count(service) > 0 ? "*" : method));
  return {patterns.begin(), patterns.end()};
}

bool may_answer(std::string_view prefix, std::string_view tenant, std::string_view subject) {
  if (!is_plain(subject)) return false;
  if (starts_with(subject, "_INBOX")) {
    const auto dot = subject.find('.');
    return dot != subject.npos && (dot == 0 || subject.front() == '_');
  }
  return starts_with(subject, fmt::format("{}.{}.{}.", prefix, tenant, kReplies));
}

}  // namespace cx::nats_gateway
