#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "cx/v1/journey.pb.h"
#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

/// A journey's definition as a file has it.
struct JourneyFile {
  std::string path;  ///< as it was given, "-"
  std::string name;  ///< of the file; "stdin"
  boost::json::object document;
  v1::Journey journey;                       ///< what is well-formed of it
  std::vector<v1::JourneyProblem> problems;  ///< everything that is wrong with it
};

/// Reads JSON or YAML, and checks it as a node would. A failure for what is no document at all.
Outcome<JourneyFile> read_journey(const std::string& file);

/// The problems, each a line of people's text: "/steps/2/next: There is no step called x. (unknown-step)".
std::string problem_lines(const JourneyFile& file);

/// That the file cannot be used as it is; there has to be a problem.
Failure refused(const JourneyFile& file);

/// A document of the contract in a file, JSON or YAML: strictly read and checked by the contract's rules.
Outcome<void> read_message(const std::string& file, google::protobuf::Message& into);

}  // namespace cx::ctl
