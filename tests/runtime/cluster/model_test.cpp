#include "tests/runtime/cluster/model.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <sstream>
#include <string>
#include <vector>

namespace cx::cluster {
namespace {

std::string text(const Checked& checked) {
  std::string all = checked.violation;
  for (const auto& step : checked.trace) all += "\n  " + step;
  return all;
}

TEST_CASE(
    "the model: whatever happens, one node at a time has the shard, nothing acknowledged is lost, nothing "
    "gets stuck") {
  // Two epochs with a move and a return of a node; three without these. Together they take ten seconds or so.
  std::vector<Bounds> all = {{2, 1, 1, 1}, {3, 1, 0, 0}};
  if (const char* wider = std::getenv("CX_MODEL")) {  // EPOCHS COMMITS MOVES REJOINS
    std::istringstream in(wider);
    int epochs = 0, commits = 0, moves = 0, rejoins = 0;
    REQUIRE_FALSE((in >> epochs >> commits >> moves >> rejoins).fail());
    all = {{static_cast<std::uint8_t>(epochs), static_cast<std::uint8_t>(commits),
            static_cast<std::uint8_t>(moves), static_cast<std::uint8_t>(rejoins), 60'000'000}};
  }
  for (const auto& bounds : all) {
    const auto checked = check_model({}, bounds);
    CHECK_MESSAGE(checked.violation.empty(), text(checked));
    MESSAGE(static_cast<int>(bounds.epochs)
            << " epochs: " << checked.states << " states, " << checked.steps << " steps");
    CHECK(checked.states > 100'000);
  }
}

TEST_CASE("the model notices each rule that is left out") {
  struct Row {
    const char* what;
    bool Faulty::*fault;
    const char* violation;  ///< that comes first
  };
  for (const auto& row : {
           Row{"takes early", &Faulty::takes_early, "two nodes believe that the shard is theirs"},
           Row{"no fence", &Faulty::no_fence, "a commit of an old epoch after a newer one"},
           Row{"buries blindly", &Faulty::buries_blindly, "two nodes believe that the shard is theirs"},
           Row{"buries early", &Faulty::buries_early, "two nodes believe that the shard is theirs"},
           Row{"lease from the reply", &Faulty::lease_from_reply,
               "two nodes believe that the shard is theirs"},
           Row{"same epoch", &Faulty::same_epoch, "two incarnations have opened the shard in one epoch"},
           Row{"hands over early", &Faulty::hands_over_early, "two nodes believe that the shard is theirs"},
           Row{"believes silence", &Faulty::believes_silence, "an acknowledged commit is gone"},
           Row{"leaves the estate", &Faulty::leaves_estate, "the shard can never be served again"},
       }) {
    CAPTURE(std::string(row.what));
    Faulty faulty;
    faulty.*row.fault = true;
    const auto checked = check_model(faulty);
    CAPTURE(text(checked));
    CHECK(checked.violation == std::string(row.violation));
    MESSAGE(std::string(row.what) << ": " << checked.violation << ", after " << checked.states << " states");
  }
}

}  // namespace
}  // namespace cx::cluster
