#pragma once

#include <google/protobuf/field_mask.pb.h>
#include <optional>
#include <string>

#include "cx/v1/campaign.pb.h"
#include "runtime/error.hpp"

namespace cx::campaign {

/// What is wrong with a content whatever it is used for; lengths and counts that the contract states are the
/// gateways' to check. invalid_argument "invalid-campaign", pointing into a request that carries it as
/// `campaign`.
std::optional<Error> check_content(const v1::CampaignContent& content);

/// What is wrong with an amount: invalid_argument "invalid-money" that points below `pointer`.
std::optional<Error> check_money(const v1::Money& money, const std::string& pointer);

/// Each channel is known and named once; invalid_argument "invalid-channel" that points below `pointer`.
std::optional<Error> check_channels(const google::protobuf::RepeatedField<int>& channels,
                                    const std::string& pointer);

/// What a content lacks to be submitted at `now` (Unix milliseconds); conflict "incomplete-campaign".
std::optional<Error> check_ready(const v1::CampaignContent& content, std::int64_t now);

/// Sets the fields of `content` that `mask` names to those of `patch`; those that are set in `patch` when it
/// names none. Lists, maps and messages are replaced as a whole, unless a path leads into a message.
/// invalid_argument "invalid-mask".
std::optional<Error> merge(const v1::CampaignContent& patch, const google::protobuf::FieldMask& mask,
                           v1::CampaignContent& content);

/// SHA-256, in hex, of what an approval is of: all but owner and labels. The same for equal contents.
std::string content_hash(const v1::CampaignContent& content);

}  // namespace cx::campaign
