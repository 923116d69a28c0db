#pragma once

#include <google/protobuf/descriptor.h>
#include <string>
#include <vector>

namespace cx::test {

/// What is missing from, or out of style in, a contract's services and in what their requests and replies
/// hold: comments, permissions, routes, effects, pages of lists, names. One line each,
/// "cx.v1.Campaigns.Approve: has no comment". The files must have been compiled with their comments.
std::vector<std::string> lint(const std::vector<const google::protobuf::FileDescriptor*>& files);

}  // namespace cx::test
