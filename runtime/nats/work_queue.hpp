#pragma once

#include "runtime/nats/jetstream.hpp"

namespace cx::nats {

struct WorkQueueConfig {
  StreamConfig stream;         ///< with `work_queue`
  std::string consumer;        ///< durable; all who name it share the work
  std::string subject;         ///< of the stream's messages, wildcards allowed; no other consumer has it
  std::uint32_t credit = 256;  ///< messages that this taker has at once
  /// What is not settled by then is given out again.
  std::chrono::milliseconds redeliver{5'000};
  /// Whether to take anything now; asked often, must not block.
  std::function<bool()> ready = [] { return true; };
};

/// A message of a work queue that is ours for the moment. To be settled once, from any thread; copies share
/// that right. When the last copy goes unsettled, the message is given out again after `redeliver`.
class Job {
 public:
  struct Parts;
  explicit Job(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}

  /// How often the message was given out, this time included.
  std::uint64_t deliveries() const;
  /// When it was stored: Unix milliseconds, by the server.
  std::int64_t at() const;

  /// It is gone from the queue.
  void done() const;
  /// The same, of what nobody will ever manage.
  void drop() const;
  /// It is given out again, to anybody, no sooner than after `delay`.
  void later(std::chrono::milliseconds delay) const;

 private:
  std::shared_ptr<Parts> parts_;
};

/// Takes messages from a JetStream work queue, as many at once as there is credit. At least once: a message
/// is given out again when its taker died, or when its settlement was lost. Survives lost connections,
/// servers that restart, and streams that are gone. Thread-safe.
class WorkQueue {
 public:
  /// Called with each message, one at a time, on a thread of the connection's, in the order of the stream
  /// but for what is given out again. Must not block.
  using Take = std::function<void(const Incoming&, Job)>;
  /// Makes stream and consumer where they are missing. Waits. `stream` outlives the queue; a Job may outlive
  /// it, and is then without effect.
  static Result<std::unique_ptr<WorkQueue>> open(JetStream& stream, WorkQueueConfig config, Take take);
  ~WorkQueue();

  /// Asks for no more. What was asked for may still come, for about a second.
  void stop();
  /// After stop(): waits until nothing more can come and everything that was taken is settled, at most for
  /// `grace`; whether it is.
  bool wait(std::chrono::milliseconds grace);
  /// Messages taken and not settled.
  std::size_t under_way() const;

  struct State;  // of the source

 private:
  explicit WorkQueue(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
  std::unique_ptr<Subscription> subscription_;
  class Keeper;
  std::unique_ptr<Keeper> keeper_;
};

}  // namespace cx::nats
