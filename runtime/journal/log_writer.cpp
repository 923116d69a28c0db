#include "runtime/journal/log_writer.hpp"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/journal/replica.hpp"

namespace cx {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kHeaders = 1024;                  // of a message, at most
constexpr std::size_t kLargest = std::size_t{1} << 30;  // of an entry: Protobuf takes twice that
constexpr std::chrono::milliseconds kFirstPause(5);     // before storing again; it doubles
constexpr std::chrono::milliseconds kLongestPause(200);

/// What came of the messages that are under way, in the order in which they were sent.
struct Round {
  explicit Round(std::size_t n) : left(n), answers(n, Error{}) {}
  std::mutex mutex;
  std::condition_variable all;
  std::size_t left;
  std::vector<Result<std::uint64_t>> answers;
};

}  // namespace

std::size_t slice_size(const nats::Connection& connection) {
  const std::size_t most = connection.max_payload();
  return std::clamp<std::size_t>(most > kHeaders ? most - kHeaders : 0, 1024, std::size_t{1} << 20);
}

struct LogWriter::Sending {
  Sending(Attempt& a, std::uint64_t p) : attempt(a), previous(p) {}
  Attempt& attempt;
  std::uint64_t previous;  // message before the part that is under way
  std::string whole;       // serialised
  std::string payload;     // of that part
  std::uint32_t part = 0, parts = 0;
  std::size_t slice = 0;
  bool done = false;
  std::optional<Error> answer;  // of the last try
};

LogWriter::LogWriter(nats::JetStream& jetstream, Environment& environment, std::string cluster, bool fenced)
    : jetstream_(jetstream), environment_(environment), cluster_(std::move(cluster)), fenced_(fenced) {}

void LogWriter::prepare(Sending& sending) {
  const v1::ShardEntry& entry = sending.attempt.entry;
  if (sending.parts == 0) {
    sending.payload = std::move(sending.whole);
    return;
  }
  v1::ShardEntry part;
  part.set_epoch(entry.epoch());
  part.set_after(entry.after());
  part.set_attempt(entry.attempt());
  part.set_previous(sending.previous);
  part.set_part(sending.part);
  part.set_parts(sending.parts);
  part.set_slice(sending.whole.substr(sending.part * sending.slice, sending.slice));
  sending.payload = part.SerializeAsString();
}

void LogWriter::send_round(std::span<Sending* const> round) {
  const auto state = std::make_shared<Round>(round.size());
  for (std::size_t i = 0; i < round.size(); ++i) {
    const Sending& sending = *round[i];
    const auto after = fenced_ ? std::optional(sending.previous) : std::nullopt;
    jetstream_.publish(subject(sending.attempt.shard), sending.payload, {}, after,
                       [state, i](Result<std::uint64_t> answer) {
                         const std::lock_guard lock(state->mutex);
                         state->answers[i] = std::move(answer);
                         if (--state->left == 0) state->all.notify_one();
                       });
  }
  std::unique_lock lock(state->mutex);
  state->all.wait(lock, [&] { return state->left == 0; });
  for (std::size_t i = 0; i < round.size(); ++i) {
    Sending& sending = *round[i];
    sending.answer.reset();
    if (state->answers[i])
      sending.attempt.sequence = *state->answers[i];
    else
      sending.answer = state->answers[i].error();
  }
}

void LogWriter::look(Sending& sending) {
  const auto found = jetstream_.next(stream(), subject(sending.attempt.shard), sending.previous + 1);
  if (!found) {
    // A server may know of a message before it shows it.
    sending.answer = found.error();
    return;
  }
  const auto entry = parse_entry(found->payload);
  if (!entry) {
    sending.answer = entry.error();
  } else if (entry->previous() != sending.previous) {
    sending.answer = Error{Code::unavailable, "storage-failed",
                           "The message that followed ours is not in the stream any more.", ""};
  } else if (entry->attempt() == sending.attempt.entry.attempt() && entry->part() == sending.part) {
    sending.answer.reset();
    sending.attempt.sequence = found->sequence;
  } else {
    sending.done = true;
    sending.attempt.outcome = Attempt::Outcome::beaten;
  }
}

void LogWriter::store(std::span<Attempt> attempts, Steady::time_point until) {
  std::vector<Sending> all;
  all.reserve(attempts.size());
  const std::size_t slice = slice_size(jetstream_.connection());
  for (auto& attempt : attempts) {
    attempt.entry.set_attempt(environment_.random());
    attempt.entry.set_previous(attempt.previous);
    auto& sending = all.emplace_back(attempt, attempt.previous);
    const std::size_t size = attempt.entry.ByteSizeLong();
    if (size > kLargest) {
      sending.done = true;
      attempt.error =
          Error{Code::invalid_argument, "too-large",
                "What is to be written to shard " + std::to_string(attempt.shard) + " at once takes " +
                    std::to_string(size) + " bytes; at most " + std::to_string(kLargest) + " can be.",
                ""};
      continue;
    }
    sending.whole = attempt.entry.SerializeAsString();
    attempt.bytes = size;
    if (size > slice) {
      attempt.in_parts = true;
      sending.slice = slice - 128;  // what stands around it
      sending.parts = static_cast<std::uint32_t>((size + sending.slice - 1) / sending.slice);
    }
    prepare(sending);
  }
  auto pause = kFirstPause;
  for (;;) {
    std::vector<Sending*> round;
    for (auto& sending : all)
      if (!sending.done) round.push_back(&sending);
    if (round.empty()) return;
    send_round(round);
    bool troubled = false;
    for (auto* sending : round) {
      if (sending->answer && sending->answer->type == "wrong-last-sequence") look(*sending);
      if (sending->done) continue;
      if (sending->answer) {
        troubled = true;
        continue;
      }
      bytes_.fetch_add(sending->payload.size() + subject(sending->attempt.shard).size(),
                       std::memory_order_relaxed);
      if (++sending->part < sending->parts) {
        sending->previous = sending->attempt.sequence;
        prepare(*sending);
        continue;
      }
      sending->done = true;
      sending->attempt.outcome = Attempt::Outcome::stored;
    }
    if (!troubled) continue;
    if (Steady::now() + pause > until || stopping_.load(std::memory_order_relaxed)) {
      for (auto* sending : round)
        if (!sending->done) sending->attempt.error = sending->answer;
      return;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace cx
