#include "runtime/journal/checkpoint.hpp"

#include <array>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <xxhash.h>

#include "runtime/journal/log_writer.hpp"

namespace cx {
namespace {

constexpr int kTries = 5;
constexpr std::size_t kLongestPiece = std::size_t{1} << 30;

Error unusable(const v1::Checkpoint& checkpoint, const std::string& why) {
  return {
      Code::internal, "corrupt",
      "Checkpoint " + checkpoint.name() + " of shard " + std::to_string(checkpoint.shard()) + " " + why + ".",
      ""};
}

void put_length(std::string& bytes, std::size_t length) {
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(length >> (8 * i));
}

std::size_t length_of(std::string_view bytes) {
  std::size_t length = 0;
  for (std::size_t i = 4; i-- > 0;) length = (length << 8) | static_cast<std::uint8_t>(bytes[i]);
  return length;
}

/// XXH3-64 of what is added.
class Sum {
 public:
  Sum() { XXH3_64bits_reset(state_.get()); }
  void add(std::string_view bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

}  // namespace

Checkpoints::Checkpoints(nats::JetStream& jetstream, Environment& environment, std::string cluster)
    : jetstream_(jetstream), environment_(environment), cluster_(std::move(cluster)) {}

std::optional<Error> Checkpoints::ensure(std::uint32_t replicas) {
  nats::StreamConfig config;
  config.name = stream();
  config.subjects = {cluster_ + ".checkpoint.>"};
  config.replicas = replicas;
  return jetstream_.ensure(config);
}

Result<std::vector<v1::Checkpoint>> Checkpoints::all() {
  const auto state = jetstream_.state(stream());
  if (!state) return state.error();
  std::vector<v1::Checkpoint> found;
  if (state->messages == 0) return found;
  std::mutex mutex;
  std::condition_variable wake;
  bool finished = false;
  std::map<std::uint32_t, v1::Checkpoint> newest;
  auto follower = jetstream_.follow(
      stream(), cluster_ + ".checkpoint.*", 1,
      [&](nats::Stored&& stored) {
        v1::Checkpoint checkpoint;
        if (checkpoint.ParseFromString(stored.payload) && checkpoint.shard() < kShards)
          newest[checkpoint.shard()] = std::move(checkpoint);
      },
      [&] {
        const std::lock_guard lock(mutex);
        finished = true;
        wake.notify_one();
      });
  {
    std::unique_lock lock(mutex);
    if (!wake.wait_for(lock, std::chrono::seconds(30), [&] { return finished; }))
      return Error{
          Code::unavailable, "unavailable",
          "Reading the checkpoints from NATS took longer than 30 s. Look whether its servers are well.", ""};
  }
  follower.reset();  // before what it writes to is read
  for (auto& [shard, checkpoint] : newest) found.push_back(std::move(checkpoint));
  return found;
}

Result<Checkpoints::Found> Checkpoints::newest(std::uint32_t shard) {
  const auto stored = jetstream_.last(stream(), subject(shard));
  if (!stored && stored.error().type == "not-found") return Found{};
  if (!stored) return stored.error();
  Found found;
  found.sequence = stored->sequence;
  if (!found.checkpoint.ParseFromString(stored->payload) || found.checkpoint.shard() != shard)
    return Error{Code::internal, "corrupt",
                 "The checkpoint of shard " + std::to_string(shard) + " in NATS cannot be read.", ""};
  return found;
}

/// Stores what is new under a name of its own: storing it twice is refused, and does no harm.
std::optional<Error> Checkpoints::put(const std::string& subject, std::string_view payload,
                                      std::uint64_t& sequence) {
  std::optional<Error> error;
  for (int i = 0; i < kTries; ++i) {
    const auto stored = jetstream_.publish(subject, payload, {}, 0);
    if (stored) {
      bytes_.fetch_add(payload.size() + subject.size(), std::memory_order_relaxed);
      sequence = *stored;
      return std::nullopt;
    }
    if (stored.error().type == "wrong-last-sequence") return std::nullopt;  // an earlier try's
    error = stored.error();
  }
  return error;
}

Result<Checkpoints::Made> Checkpoints::make(const Replica& replica, std::uint32_t shard) {
  return store(shard, [&](const auto& piece) { return replica.image(shard, piece); });
}

Result<Checkpoints::Made> Checkpoints::begin(std::uint32_t shard, const Journal& from) {
  return store(shard, [&](const auto& piece) -> Result<v1::Checkpoint> {
    const auto head = from.head(shard);
    if (!head) return head.error();
    v1::Checkpoint checkpoint;
    checkpoint.set_shard(shard);
    checkpoint.set_epoch(head->epoch);
    checkpoint.set_first(head->first);
    checkpoint.set_last(head->last);
    PieceCutter cutter(piece);
    auto error = from.read(shard, head->first - 1,
                           [&](std::uint64_t, std::string_view record) { return cutter.record(record); });
    for (std::size_t table = 0; table < kTables && !error; ++table)
      error =
          from.scan(static_cast<Table>(table), shard, "", [&](std::string_view key, std::string_view value) {
            return cutter.row(static_cast<Table>(table), key, value);
          });
    if (!error) error = cutter.finish();
    if (error) return std::move(*error);
    return checkpoint;
  });
}

Result<Checkpoints::Made> Checkpoints::store(std::uint32_t shard, const Image& image) {
  auto before = newest(shard);
  if (!before) return before.error();
  char name[17];
  *std::to_chars(name, name + 16, environment_.random(), 16).ptr = '\0';
  const std::size_t slice = slice_size(jetstream_.connection());
  std::string bytes;
  std::uint32_t parts = 0;
  std::uint64_t size = 0;
  std::uint64_t first = 0;  // message of the first part
  Sum sum;
  const auto flush = [&](std::size_t down_to) -> std::optional<Error> {
    while (bytes.size() > down_to) {
      const std::string part = bytes.substr(0, slice);
      bytes.erase(0, part.size());
      sum.add(part);
      size += part.size();
      std::uint64_t at = 0;
      if (auto error = put(subject(shard) + "." + name + "." + std::to_string(parts), part, at)) return error;
      if (parts++ == 0) first = at;
    }
    return std::nullopt;
  };
  auto checkpoint = image([&](v1::CheckpointPart&& piece) {
    put_length(bytes, piece.ByteSizeLong());
    piece.AppendToString(&bytes);
    return flush(slice);
  });
  if (!checkpoint) return checkpoint.error();
  if (auto error = flush(0)) return std::move(*error);
  checkpoint->set_name(name);
  checkpoint->set_parts(parts);
  checkpoint->set_checksum(sum.value());
  if (before->checkpoint.upto() > 0 && before->checkpoint.upto() >= checkpoint->upto())
    return Made{before->checkpoint};
  const auto stored =
      jetstream_.publish(subject(shard), checkpoint->SerializeAsString(), {}, before->sequence);
  std::uint64_t manifest = 0;
  if (stored) {
    manifest = *stored;
  } else {
    // Ours after all, or somebody else's newer one.
    auto now = newest(shard);
    if (!now) return now.error();
    if (now->sequence == before->sequence) return stored.error();
    if (now->checkpoint.name() != name) return Made{now->checkpoint};
    manifest = now->sequence;
  }
  // What is left of older ones, complete or not. If it stays, the next checkpoint takes it away.
  (void)jetstream_.purge(stream(), subject(shard), manifest);
  if (first > 1) (void)jetstream_.purge(stream(), subject(shard) + ".>", first);
  return Made{std::move(*checkpoint), size};
}

std::optional<Error> Checkpoints::restore(Replica& replica, std::uint32_t shard, std::uint64_t have) {
  std::optional<Error> error;
  for (int i = 0; i < kTries; ++i) {
    const auto found = newest(shard);
    if (!found) return found.error();
    if (found->sequence == 0 || (have > 0 && found->checkpoint.upto() <= have))
      return Error{Code::not_found, "not-found",
                   "Shard " + std::to_string(shard) + " has no newer checkpoint in NATS.", ""};
    error = restore_one(replica, found->checkpoint);
    if (!error || error->type != "not-found") return error;
    // A newer one has taken its place meanwhile.
  }
  return error;
}

std::optional<Error> Checkpoints::restore_one(Replica& replica, const v1::Checkpoint& checkpoint) {
  if (auto error = replica.begin_restore(checkpoint.shard(), checkpoint.first())) return error;
  Sum sum;
  std::string bytes;
  std::uint64_t total = 0;
  v1::CheckpointPart piece;
  for (std::uint32_t part = 0; part < checkpoint.parts(); ++part) {
    const auto stored = jetstream_.last(
        stream(), subject(checkpoint.shard()) + "." + checkpoint.name() + "." + std::to_string(part));
    if (!stored) return stored.error();
    sum.add(stored->payload);
    bytes += stored->payload;
    total += stored->payload.size();
    std::size_t at = 0;
    while (bytes.size() - at >= 4) {
      const std::size_t length = length_of(std::string_view(bytes).substr(at));
      if (length > kLongestPiece) return unusable(checkpoint, "is damaged");
      if (bytes.size() - at - 4 < length) break;
      if (!piece.ParseFromArray(bytes.data() + at + 4, static_cast<int>(length)))
        return unusable(checkpoint, "is damaged");
      if (auto error = replica.restore(piece)) return error;
      at += 4 + length;
    }
    bytes.erase(0, at);
  }
  if (!bytes.empty() || sum.value() != checkpoint.checksum())
    return unusable(checkpoint, "does not have the checksum that it was stored with");
  return replica.end_restore(checkpoint, total);
}

}  // namespace cx
