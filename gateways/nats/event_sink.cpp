#include "gateways/nats/event_sink.hpp"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <fmt/format.h>
#include <map>
#include <mutex>

namespace cx::nats_gateway {
namespace {

constexpr std::size_t kWave = 512;        // messages under way at once
constexpr std::size_t kHeaderRoom = 128;  // of a message, for what the connection adds
constexpr std::string_view kVersion = "version";

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

}  // namespace

EventSink::EventSink(nats::JetStream& jetstream, EventStreamOptions options)
    : jetstream_(jetstream), options_(std::move(options)), cursors_stream_(options_.prefix + "_published") {}

std::string EventSink::cursor_subject(std::string_view of) const {
  return fmt::format("{}.published.{}", options_.prefix, of);
}

Result<Sink::Position> EventSink::load() {
  if (!ensured_) {
    nats::StreamConfig events;
    events.name = options_.prefix + "_events";
    events.subjects = {options_.prefix + ".events.*.*.*"};
    events.replicas = options_.replicas;
    events.max_age_hours = options_.hours;
    if (auto error = jetstream_.ensure(events)) return *error;
    nats::StreamConfig cursors;
    cursors.name = cursors_stream_;
    cursors.subjects = {cursor_subject("*")};
    cursors.replicas = options_.replicas;
    cursors.max_per_subject = 1;
    if (auto error = jetstream_.ensure(cursors)) return *error;
    ensured_ = true;
  }
  // What we have told others ourselves and not written down yet is told, wherever the cursor stands.
  struct {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<nats::Stored> messages;
    bool all = false;
  } read;
  {
    const auto follower = jetstream_.follow(
        cursors_stream_, "", 1,
        [&read](nats::Stored&& message) {
          const std::lock_guard lock(read.mutex);
          read.messages.push_back(std::move(message));
        },
        [&read] {
          const std::lock_guard lock(read.mutex);
          read.all = true;
          read.changed.notify_all();
        });
    std::unique_lock lock(read.mutex);
    if (!read.changed.wait_for(lock, options_.timeout, [&] { return read.all; }))
      return Error{Code::unavailable, "unavailable",
                   fmt::format("The stream {} could not be read in {} ms. Are the NATS servers well?",
                               cursors_stream_, options_.timeout.count()),
                   ""};
  }
  for (const auto& message : read.messages)
    if (!note(message))
      return Error{Code::internal, "corrupt",
                   fmt::format("Message {} of the stream {} is no cursor: only nodes may write to {}. Purge "
                               "the stream; what is published then begins again.",
                               message.sequence, cursors_stream_, cursor_subject("*")),
                   ""};
  Position position;
  position.version = version_;
  position.cursors = cursors_;
  return position;
}

// Takes a stored cursor into account; false if it is none.
bool EventSink::note(const nats::Stored& message) {
  const auto of =
      std::string_view(message.subject).substr(std::min(cursor_subject("").size(), message.subject.size()));
  const auto value = number(message.payload);
  if (!value) return false;
  if (of == kVersion) {
    version_ = static_cast<std::uint32_t>(*value);
    return true;
  }
  const auto shard = number(of);
  if (!shard || *shard >= kShards) return false;
  last_[*shard] = message.sequence;
  cursors_[*shard] = std::max(cursors_[*shard], *value);
  return true;
}

std::optional<Error> EventSink::reset(std::uint32_t version) {
  rollback();
  if (auto error = jetstream_.purge(cursors_stream_, cursor_subject("*"), 0)) return error;
  cursors_ = {};
  last_ = {};
  unsynced_.reset();
  version_.reset();
  const auto stored = jetstream_.publish(cursor_subject(kVersion), std::to_string(version), {}, std::nullopt);
  if (!stored) return stored.error();
  version_ = version;
  return std::nullopt;
}

std::optional<Error> EventSink::begin() {
  rollback();
  return std::nullopt;
}

std::optional<Error> EventSink::add(EventMessage message) {
  auto size = message.payload.size() + kHeaderRoom;
  for (const auto& [name, value] : message.headers) size += name.size() + value.size() + 4;
  const auto most = jetstream_.connection().max_payload();
  if (most > 0 && size > most)
    return Error{
        Code::internal, "event-too-large",
        fmt::format(
            "An event of {} has {} bytes; the NATS servers take {}. Raise max_payload, or skip the record.",
            message.entity, size, most),
        ""};
  messages_.push_back(std::move(message));
  return std::nullopt;
}

// Sends them all, and waits for the answer of each.
std::vector<Result<std::uint64_t>> EventSink::publish(std::span<const Sending> wave) {
  struct Answers {
    std::mutex mutex;
    std::condition_variable all;
    std::size_t open;
    std::vector<Result<std::uint64_t>> answers;
  };
  const auto answers = std::make_shared<Answers>();
  answers->open = wave.size();
  answers->answers.assign(wave.size(), Error{});
  for (std::size_t i = 0; i < wave.size(); ++i)
    jetstream_.publish(wave[i].subject, wave[i].payload, *wave[i].headers, wave[i].after,
                       [answers, i](Result<std::uint64_t> answer) {
                         const std::lock_guard lock(answers->mutex);
                         answers->answers[i] = std::move(answer);
                         if (--answers->open == 0) answers->all.notify_all();
                       });
  std::unique_lock lock(answers->mutex);
  answers->all.wait(lock, [&] { return answers->open == 0; });
  return std::move(answers->answers);
}

std::optional<Error> EventSink::commit(std::span<const CursorMove> moves) {
  // In each round one message of every entity: had two been under way and the first been lost with a
  // connection, the second could come before it.
  std::map<std::string_view, std::size_t> before;  // messages of an entity so far
  std::vector<std::vector<const EventMessage*>> rounds;
  for (const auto& message : messages_) {
    const auto round = before[message.entity]++;
    if (rounds.size() == round) rounds.emplace_back();
    rounds[round].push_back(&message);
  }
  std::vector<Sending> wave;
  for (const auto& round : rounds)
    for (std::size_t from = 0; from < round.size(); from += kWave) {
      wave.clear();
      for (auto i = from; i < std::min(from + kWave, round.size()); ++i)
        wave.push_back({round[i]->subject, round[i]->payload, &round[i]->headers, std::nullopt});
      for (const auto& stored : publish(wave))
        if (!stored) return stored.error();
    }
  messages_.clear();
  for (const auto& move : moves) {
    cursors_[move.shard] = move.sequence;
    unsynced_.set(move.shard);
  }
  return std::nullopt;
}

std::optional<Error> EventSink::sync() {
  static const nats::Headers kNone;
  for (int attempt = 1; unsynced_.any(); ++attempt) {
    std::vector<std::uint32_t> shards;
    std::vector<std::string> subjects, values;
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
      if (unsynced_[shard]) {
        shards.push_back(shard);
        subjects.push_back(cursor_subject(std::to_string(shard)));
        values.push_back(std::to_string(cursors_[shard]));
      }
    std::vector<Sending> wave;
    for (std::size_t i = 0; i < shards.size(); ++i)
      wave.push_back({subjects[i], values[i], &kNone, last_[shards[i]]});
    const auto answers = publish(wave);
    for (std::size_t i = 0; i < shards.size(); ++i) {
      if (answers[i]) {
        last_[shards[i]] = *answers[i];
        unsynced_.reset(shards[i]);
        continue;
      }
      if (answers[i].error().type != "wrong-last-sequence" || attempt == 2) return answers[i].error();
      if (auto error = look_again(shards[i])) return error;
    }
  }
  return std::nullopt;
}

// Somebody else, or a try of ours that had no answer, wrote the shard's cursor. One that is beyond ours
// stays.
std::optional<Error> EventSink::look_again(std::uint32_t shard) {
  const auto last = jetstream_.last(cursors_stream_, cursor_subject(std::to_string(shard)));
  if (!last) {
    if (last.error().type != "not-found") return last.error();
    last_[shard] = 0;
    return std::nullopt;
  }
  last_[shard] = last->sequence;
  const auto theirs = number(last->payload);
  if (theirs && *theirs >= cursors_[shard]) unsynced_.reset(shard);
  return std::nullopt;
}

}  // namespace cx::nats_gateway
