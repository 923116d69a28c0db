#pragma once

#include <google/protobuf/descriptor.pb.h>
#include <string>

namespace cx {

/// A file of the contract, "cx/v1/campaign.proto", as it was compiled, with its comments; null where there is
/// none. Read when it is first asked for, for programs that cannot wait for all of contract(). Thread-safe;
/// lives as long as the process.
const google::protobuf::FileDescriptorProto* contract_file(const std::string& name);

}  // namespace cx
