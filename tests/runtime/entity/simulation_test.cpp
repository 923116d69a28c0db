#include "tests/runtime/entity/simulation.hpp"

#include <cstdlib>
#include <doctest/doctest.h>

// CX_SEED=n runs one seed, CX_SEEDS=n that many; both as they were when they failed.

namespace cx::test {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string list(const std::vector<std::string>& faults) {
  std::string text;
  for (const auto& one : faults) text += "\n  " + one;
  return text;
}

/// Whether one of a few seeds shows the mistake.
bool is_caught(const Sabotage& sabotage, Verdict (*simulation)(std::uint64_t, const Sabotage&) = simulate) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed)
    if (!simulation(seed, sabotage).faults.empty()) return true;
  return false;
}

}  // namespace

TEST_CASE("whatever breaks, what was acknowledged is so, and nothing is so twice") {
  const auto only = from_environment("CX_SEED", 0);
  const auto first = only != 0 ? only : 1;
  const auto last = only != 0 ? only : from_environment("CX_SEEDS", 25);
  Verdict sum;
  for (auto seed = first; seed <= last; ++seed) {
    const auto verdict = simulate(seed);
    CHECK_MESSAGE(verdict.faults.empty(), "CX_SEED=" << seed << " shows it again:" << list(verdict.faults));
    sum.records += verdict.records;
    sum.acknowledged += verdict.acknowledged;
    sum.unknown += verdict.unknown;
    sum.retried += verdict.retried;
    sum.crashes += verdict.crashes;
    sum.power_losses += verdict.power_losses;
    sum.disk_faults += verdict.disk_faults;
    sum.within += verdict.within;
    sum.paid += verdict.paid;
    sum.repaid += verdict.repaid;
  }
  MESSAGE("seeds ", last - first + 1, ", records ", sum.records, ", acknowledged ", sum.acknowledged,
          ", unknown ", sum.unknown, ", retried ", sum.retried, ", crashes ", sum.crashes, ", power losses ",
          sum.power_losses, ", disk faults ", sum.disk_faults, ", within shards ", sum.within, ", paid ",
          sum.paid, ", again ", sum.repaid);
  if (only != 0) return;
  CHECK(sum.acknowledged > 100 * last);
  CHECK(sum.unknown > last);
  CHECK(sum.retried > last);
  CHECK(sum.crashes > last);
  CHECK(sum.power_losses > last);
  CHECK(sum.disk_faults > last);
  CHECK(sum.within > 10 * last);
  CHECK(sum.paid > last);
  CHECK(sum.repaid > 0);
}

TEST_CASE("whichever way shards move, what was acknowledged is so, and nothing is so twice") {
  const auto only = from_environment("CX_SEED", 0);
  const auto first = only != 0 ? only : 1;
  const auto last = only != 0 ? only : from_environment("CX_SEEDS", 25);
  Verdict sum;
  for (auto seed = first; seed <= last; ++seed) {
    const auto verdict = simulate_cluster(seed);
    CHECK_MESSAGE(verdict.faults.empty(), "CX_SEED=" << seed << " shows it again:" << list(verdict.faults));
    sum.records += verdict.records;
    sum.acknowledged += verdict.acknowledged;
    sum.unknown += verdict.unknown;
    sum.moved += verdict.moved;
    sum.seized += verdict.seized;
    sum.dropped += verdict.dropped;
    sum.lost += verdict.lost;
    sum.misled += verdict.misled;
    sum.disk_faults += verdict.disk_faults;
    sum.repaid += verdict.repaid;
  }
  MESSAGE("seeds ", last - first + 1, ", records ", sum.records, ", acknowledged ", sum.acknowledged,
          ", unknown ", sum.unknown, ", moved ", sum.moved, ", seized ", sum.seized, ", dropped ",
          sum.dropped, ", lost ", sum.lost, ", misled ", sum.misled, ", disk faults ", sum.disk_faults,
          ", paid again ", sum.repaid);
  if (only != 0) return;
  CHECK(sum.acknowledged > 100 * last);
  CHECK(sum.moved > 10 * last);
  CHECK(sum.seized > 5 * last);
  CHECK(sum.dropped > 5 * last);
  CHECK(sum.lost > last);
  CHECK(sum.misled > last);
  CHECK(sum.disk_faults > last);
}

TEST_CASE("a seed decides everything, in a cluster, too") {
  const auto seed = from_environment("CX_SEED", 7);
  CHECK(simulate_cluster(seed).digest == simulate_cluster(seed).digest);
}

TEST_CASE("a seed decides everything") {
  const auto seed = from_environment("CX_SEED", 7);
  const auto once = simulate(seed), again = simulate(seed);
  CHECK(once.digest == again.digest);
  CHECK(once.acknowledged == again.acknowledged);
  CHECK(once.digest != simulate(seed + 1).digest);
}

TEST_CASE("the audit finds an answer that was given before the append") {
  Sabotage sabotage;
  sabotage.host.reply_early = true;
  CHECK(is_caught(sabotage));
}

TEST_CASE("the audit finds a repeated message that is taken for a new one") {
  Sabotage sabotage;
  sabotage.host.no_dedupe = true;
  CHECK(is_caught(sabotage));
}

TEST_CASE("the audit finds a message within a shard that is erased after what came of it is there") {
  Sabotage sabotage;
  sabotage.host.late_rows = true;
  CHECK(is_caught(sabotage));
}

TEST_CASE("the audit finds a message within a shard that nobody wrote down") {
  Sabotage sabotage;
  sabotage.host.lost_rows = true;
  CHECK(is_caught(sabotage));
}

TEST_CASE("the audit finds a journal without a fence") {
  Sabotage sabotage;
  sabotage.no_fence = true;
  CHECK(is_caught(sabotage, simulate_cluster));
}

TEST_CASE("in a cluster, too, the audit finds an answer before the append, and a message taken twice") {
  Sabotage early, twice;
  early.host.reply_early = true;
  twice.host.no_dedupe = true;
  CHECK(is_caught(early, simulate_cluster));
  CHECK(is_caught(twice, simulate_cluster));
}

TEST_CASE("the audit finds a disk that does not sync") {
  Sabotage sabotage;
  sabotage.lying_disk = true;
  CHECK(is_caught(sabotage));
}

}  // namespace cx::test
