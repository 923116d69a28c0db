#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

// A folder of models from which nodes are served:
//   1a2b3c4d.model  each model that was published, under the first digits of its hash
//   current         a link to the one in use, which nodes follow
//   history         what was done, a JSON document a line: {"at", "action": "publish"|"rollback", "model",
//   "name"}
// One command at a time changes it (a lock on `history`). The link is changed last but one and the history
// last, so that a command that was cut short has either happened or not.

struct PublishedModel {
  std::string file;               ///< "1a2b3c4d.model"
  std::string name;               ///< that the model gives itself
  std::int64_t published_ms = 0;  ///< Unix, last time
  bool current = false;
  bool earlier = false;  ///< rollback leads to it, at once or again and again
};

struct ModelChange {
  std::string before;  ///< file that was in use; empty where none was
  std::string after;   ///< file that is
  std::string label;   ///< NAME@HASH8 of it
};

/// Copies a model into the folder, which is made if need be, checks the copy, and puts it in use. Where it is
/// in use already, nothing changes. One that does not score bids is refused.
Outcome<ModelChange> publish_model(const std::string& file, const std::string& folder);

/// Puts the model back in use that was before the current one was published, after checking it.
Outcome<ModelChange> roll_model_back(const std::string& folder);

/// What was published, latest first.
Outcome<std::vector<PublishedModel>> published_models(const std::string& folder);

}  // namespace cx::ctl
