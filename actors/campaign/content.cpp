#include "actors/campaign/content.hpp"

#include <algorithm>
#include <array>
#include <google/protobuf/util/field_mask_util.h>
#include <openssl/sha.h>

#include "actors/campaign/timing.hpp"
#include "runtime/entity/kind.hpp"

namespace cx::campaign {
namespace {

using google::protobuf::util::FieldMaskUtil;

constexpr int kMostPaths = 100;
constexpr std::size_t kKeyBytes = 63;
constexpr std::size_t kLabelBytes = 256;
constexpr std::size_t kUrlBytes = 2'000;

Error invalid(std::string detail, std::string pointer) {
  return {Code::invalid_argument, "invalid-campaign", std::move(detail), "/campaign" + std::move(pointer)};
}

/// As a token of a JSON pointer (RFC 6901).
std::string escaped(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

bool is_web_url(const std::string& url) {
  const bool web = url.starts_with("https://") || url.starts_with("http://");
  return web && url.size() > url.find("//") + 2 && url.size() <= kUrlBytes &&
         std::none_of(url.begin(), url.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

template <class Map>
std::optional<Error> check_keys(const Map& map, const std::string& pointer) {
  for (const auto& [key, value] : map)
    if (key.empty() || key.size() > kKeyBytes)
      return invalid("A key of " + pointer.substr(1) + " has 1 to " + std::to_string(kKeyBytes) +
                         " bytes, and one has " + std::to_string(key.size()) + ".",
                     pointer);
  return std::nullopt;
}

std::optional<Error> check_maps(const v1::CampaignContent& content) {
  if (auto error = check_keys(content.landing(), "/landing")) return error;
  for (const auto& [key, url] : content.landing())
    if (!is_web_url(url))
      return invalid("A landing page is an http or https URL of up to 2,000 bytes without spaces, and \"" +
                         key + "\" is not.",
                     "/landing/" + escaped(key));
  if (auto error = check_keys(content.labels(), "/labels")) return error;
  for (const auto& [key, value] : content.labels())
    if (value.size() > kLabelBytes)
      return invalid(
          "The label \"" + key + "\" has " + std::to_string(value.size()) + " bytes, and 256 is the most.",
          "/labels/" + escaped(key));
  return std::nullopt;
}

std::optional<Error> check_times(const v1::CampaignContent& content) {
  if (content.has_start() && !is_valid(content.start()))
    return invalid("The start is not a time between the years 1 and 9999.", "/start");
  if (content.has_end() && !is_valid(content.end()))
    return invalid("The end is not a time between the years 1 and 9999.", "/end");
  if (content.has_start() && content.has_end() && !before(content.start(), content.end()))
    return invalid("The end is not after the start. Move one of them.", "/end");
  return std::nullopt;
}

std::optional<Error> check_budgets(const v1::CampaignContent& content) {
  if (content.has_budget())
    if (auto error = check_money(content.budget(), "/campaign/budget")) return error;
  if (!content.has_daily_budget()) return std::nullopt;
  if (auto error = check_money(content.daily_budget(), "/campaign/daily_budget")) return error;
  if (!content.has_budget()) return std::nullopt;
  if (content.daily_budget().currency() != content.budget().currency())
    return invalid("The daily budget is in " + content.daily_budget().currency() + " and the budget in " +
                       content.budget().currency() + ". Use one currency.",
                   "/daily_budget/currency");
  if (content.daily_budget().micros() > content.budget().micros())
    return invalid("The daily budget is more than the budget. Lower it, or raise the budget.",
                   "/daily_budget/micros");
  return std::nullopt;
}

}  // namespace

std::optional<Error> check_money(const v1::Money& money, const std::string& pointer) {
  const auto& currency = money.currency();
  if (currency.size() != 3 ||
      !std::all_of(currency.begin(), currency.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
    return Error{Code::invalid_argument, "invalid-money",
                 "The currency has to be an ISO 4217 code of three capital letters, such as USD.",
                 pointer + "/currency"};
  if (money.micros() < 0)
    return Error{Code::invalid_argument, "invalid-money", "The amount is below zero.", pointer + "/micros"};
  return std::nullopt;
}

std::optional<Error> check_channels(const google::protobuf::RepeatedField<int>& channels,
                                    const std::string& pointer) {
  for (int i = 0; i < channels.size(); ++i) {
    const bool known = v1::Channel_IsValid(channels[i]) && channels[i] != v1::CHANNEL_UNSPECIFIED;
    const bool repeated =
        std::find(channels.begin(), channels.begin() + i, channels[i]) != channels.begin() + i;
    if (!known || repeated)
      return Error{Code::invalid_argument, "invalid-channel",
                   known ? v1::Channel_Name(channels[i]) + " is named twice. Leave one of them out."
                         : std::to_string(channels[i]) + " is no channel. Name one, such as CHANNEL_EMAIL.",
                   pointer + '/' + std::to_string(i)};
  }
  return std::nullopt;
}

std::optional<Error> check_content(const v1::CampaignContent& content) {
  if (content.name().find_first_not_of(" \t\r\n") == std::string::npos)
    return invalid("A campaign needs a name.", "/name");
  if (!v1::CampaignObjective_IsValid(content.objective()))
    return invalid(std::to_string(content.objective()) + " is no objective.", "/objective");
  if (auto error = check_channels(content.channels(), "/campaign/channels")) return error;
  if (auto error = check_budgets(content)) return error;
  if (auto error = check_times(content)) return error;
  return check_maps(content);
}

std::optional<Error> check_ready(const v1::CampaignContent& content, std::int64_t now) {
  std::string lacks;
  if (content.channels().empty()) lacks += " It has no channel: add at least one.";
  if (!content.has_budget()) lacks += " It has no budget: set one, 0 if it costs nothing.";
  if (content.has_end() && !before(time_of(now), content.end()))
    lacks += " Its end is past: move or clear it.";
  if (lacks.empty()) return std::nullopt;
  return Error{Code::conflict, "incomplete-campaign", "The campaign cannot be submitted yet." + lacks, ""};
}

std::optional<Error> merge(const v1::CampaignContent& patch, const google::protobuf::FieldMask& mask,
                           v1::CampaignContent& content) {
  google::protobuf::FieldMask meant;
  if (mask.paths().empty()) {
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    patch.GetReflection()->ListFields(patch, &fields);
    for (const auto* field : fields) meant.add_paths(field->name());
  } else if (mask.paths_size() > kMostPaths) {
    return Error{Code::invalid_argument, "invalid-mask",
                 "The mask has " + std::to_string(mask.paths_size()) + " paths, and 100 is the most.",
                 "/update_mask"};
  } else {
    meant = mask;
  }
  for (const auto& path : meant.paths())
    if (path.empty() || !FieldMaskUtil::IsValidPath<v1::CampaignContent>(path))
      return Error{
          Code::invalid_argument, "invalid-mask",
          '"' + path.substr(0, 100) +
              "\" is no field of a campaign's content. Name fields like \"name\" or \"budget.micros\"; lists "
              "and maps are replaced as a whole.",
          "/update_mask"};
  FieldMaskUtil::MergeOptions replace;
  replace.set_replace_message_fields(true);
  replace.set_replace_repeated_fields(true);
  FieldMaskUtil::MergeMessageTo(patch, meant, replace, &content);
  content.DiscardUnknownFields();  // else a stranger's bytes would be kept, unchecked, and approved
  return std::nullopt;
}

std::string content_hash(const v1::CampaignContent& content) {
  v1::CampaignContent approved = content;
  approved.clear_owner();
  approved.clear_labels();
  const auto bytes = serialize(approved);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const auto byte : digest) {
    hex += kHex[byte >> 4];
    hex += kHex[byte & 15];
  }
  return hex;
}

}  // namespace cx::campaign
