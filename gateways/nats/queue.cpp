#include "gateways/nats/queue.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "gateways/json/member.hpp"
#include "gateways/metadata.hpp"
#include "gateways/nats/call.hpp"
#include "gateways/nats/subjects.hpp"

namespace cx::nats_gateway {

using std::chrono::milliseconds;

namespace {

constexpr std::int64_t kMaxTmax = 60'000;                  // milliseconds; more is no deadline
constexpr std::int64_t kMaxAgeHours = 24;                  // of what nobody took
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 30;  // of all that waits; the oldest go
constexpr milliseconds kFirstDelay{100}, kLongestDelay{5'000};

/// How long to leave a request alone that could not be taken: doubles each time.
milliseconds delay_of(const nats::Job& job) {
  const auto doublings = std::min<std::uint64_t>(job.deliveries() - 1, 6);
  return std::min(kFirstDelay * (1 << doublings), kLongestDelay);
}

bool read_time(std::string_view text, std::int64_t& unix_ms) {
  const auto* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, unix_ms);
  return failure == std::errc() && stop == end && unix_ms >= 0;
}

/// What is counted, also by answers that come after the queue's end.
struct Tally {
  Counter taken, expired, postponed, refused, dead;
};

/// A request that an agent has.
class Reply final : public ReplySink {
 public:
  Reply(std::shared_ptr<Outlet> outlet, std::shared_ptr<Tally> tally, EndpointProbe& probe, nats::Job job,
        std::string to, About about)
      : outlet_(std::move(outlet)),
        tally_(std::move(tally)),
        probe_(probe),
        job_(std::move(job)),
        to_(std::move(to)),
        about_(std::move(about)) {}

  void deliver(RawReply reply) noexcept override {
    try {
      outlet_->use([&](nats::Connection& connection) { send(std::move(reply), connection); });
    } catch (const std::exception& e) {
      spdlog::error("The answer to a request of a work queue could not be sent: {}", e.what());
    }
  }

 private:
  void send(RawReply reply, nats::Connection& connection) {
    const bool failed = reply.kind == RawReply::Kind::error;
    if (failed && (reply.error.code == Code::overloaded || reply.error.code == Code::unavailable)) {
      tally_->postponed.add();  // there may be time for another try, here or elsewhere
      return job_.later(delay_of(job_));
    }
    const auto answer = answer_of(std::move(reply), about_, connection.max_payload());
    probe_.requests.total.add();
    probe_.outcome(answer.status).add();
    const auto took = std::chrono::steady_clock::now() - received_;
    probe_.latency.record(static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()));
    if (!to_.empty() && connection.publish(to_, answer.payload, answer.headers))
      return job_.later(delay_of(job_));  // it was not sent
    job_.done();
  }

  const std::shared_ptr<Outlet> outlet_;
  const std::shared_ptr<Tally> tally_;
  EndpointProbe& probe_;  // only while the outlet is open
  const nats::Job job_;
  const std::string to_;
  const About about_;
  const SteadyTime received_ = std::chrono::steady_clock::now();
};

}  // namespace

class Queue::Impl {
 public:
  Impl(const QueueOptions& options, nats::Connection& connection, const Method& method, const Door& door,
       Metrics& metrics)
      : options_(options),
        service_(words_of(method).service),
        method_(method),
        door_(door),
        stream_(connection, options.timeout),
        outlet_(std::make_shared<Outlet>(connection)),
        probe_(metrics.endpoint("nats queue " + method.name)) {
    add_metrics(metrics);
  }

  ~Impl() {
    queue_.reset();
    outlet_->close();
  }

  std::optional<Error> open(std::function<bool()> ready) {
    nats::WorkQueueConfig config;
    config.stream.name = options_.prefix + "_" + service_;
    config.stream.subjects = {subject_of(options_.prefix, "*", service_, kQueue),
                              subject_of(options_.prefix, "*", service_, kDead)};
    config.stream.replicas = options_.replicas;
    config.stream.max_age_hours = kMaxAgeHours;
    config.stream.max_bytes = kMaxBytes;
    config.stream.work_queue = true;
    config.consumer = "nodes";
    config.subject = config.stream.subjects.front();
    config.credit = options_.credit;
    config.redeliver = options_.redeliver;
    config.ready = std::move(ready);
    auto opened =
        nats::WorkQueue::open(stream_, std::move(config),
                              [this](const nats::Incoming& in, const nats::Job& job) { take(in, job); });
    if (!opened) return opened.error();
    queue_ = std::move(*opened);
    return std::nullopt;
  }

  void drain(milliseconds grace) {
    if (!queue_) return;
    queue_->stop();
    queue_->wait(grace);
    queue_.reset();
  }

 private:
  void add_metrics(Metrics& metrics) {
    const auto counter = [&](const char* name, const char* help, Counter Tally::*of) {
      metrics.counter(name, help, [t = tally_, of] { return static_cast<double>((t.get()->*of).value()); },
                      {{"queue", service_}});
    };
    counter("cx_nats_queue_taken_total", "Requests taken from the work queue.", &Tally::taken);
    counter("cx_nats_queue_expired_total", "Requests that were too late when they were taken.",
            &Tally::expired);
    counter("cx_nats_queue_postponed_total", "Requests given back because the node was overloaded.",
            &Tally::postponed);
    counter("cx_nats_queue_refused_total", "Requests refused for their credential.", &Tally::refused);
    counter("cx_nats_queue_dead_total", "Requests that ended as dead letters.", &Tally::dead);
  }

  void take(const nats::Incoming& in, const nats::Job& job) {
    tally_->taken.add();
    try {
      serve(in, job);
    } catch (const std::exception& e) {
      spdlog::error("A request of the work queue {} failed: {}", service_, e.what());
      job.later(delay_of(job));
    }
  }

  void serve(const nats::Incoming& in, const nats::Job& job) {
    const auto subject = read_subject(options_.prefix, in.subject);
    const auto to = std::string(field(in, "Cx-Reply-To"));
    const bool can_answer = subject && may_answer(options_.prefix, subject->tenant, to);
    About about{request_id(field(in, "X-Request-Id"), door_.environment()), method_.content_type, {}};
    const auto reply = [&] {
      return std::make_shared<Reply>(outlet_, tally_, probe_, job, can_answer ? to : std::string(), about);
    };

    std::string payload;
    payload.reserve(in.payload.size() + kRawPadding);
    payload = in.payload;
    auto admission = admit(door_, method_, subject ? subject->tenant : "", in, payload);
    if (!admission) {  // strangers cannot fill our dead letters, either
      const auto code = admission.error().code;
      if (code != Code::unavailable && code != Code::overloaded) tally_->refused.add();
      return reply()->deliver(RawReply::failure(admission.error()));
    }
    about.quota = admission->quota;
    if (admission->limited) {
      tally_->postponed.add();
      return job.later(std::max(delay_of(job), milliseconds(admission->quota.retry_seconds * 1'000)));
    }
    if (!can_answer)
      return bury(in, job, subject->tenant, about.request_id, "invalid-reply-to",
                  fmt::format("Cx-Reply-To is not an inbox and not below {}.{}.replies.", options_.prefix,
                              subject->tenant));
    // Before a byte of it is looked at: it may be what nodes die of.
    if (job.deliveries() > options_.attempts)
      return bury(in, job, subject->tenant, about.request_id, "too-many-attempts",
                  fmt::format("It was given out {} times, and nobody answered.", job.deliveries() - 1));
    if (in.payload.size() > options_.max_body)
      return reply()->deliver(RawReply::failure(
          {Code::invalid_argument, "body-too-large",
           fmt::format("The payload has {} bytes; send at most {}.", in.payload.size(), options_.max_body),
           ""}));

    const auto now = door_.environment().clock().unix_ms();
    const auto tmax = std::clamp<std::int64_t>(
        json::number_member(payload, "tmax").value_or(options_.default_tmax.count()), 1, kMaxTmax);
    auto deadline = job.at() + tmax;
    if (const auto given = field(in, "Cx-Deadline"); !given.empty() && !read_time(given, deadline))
      return reply()->deliver(RawReply::failure({Code::invalid_argument, "invalid-timeout",
                                                 "Cx-Deadline is not a time in Unix milliseconds.", ""}));
    if (deadline <= now) {
      tally_->expired.add();
      return reply()->deliver(RawReply::failure(
          {Code::deadline_exceeded, "deadline-exceeded",
           fmt::format("The request was taken {} ms after its deadline.", now - deadline), ""}));
    }
    // The agents count tmax from when the request was received; from when on it leads to the deadline.
    const milliseconds age(std::max<std::int64_t>(0, tmax - (deadline - now)));
    RawRequest raw{
        std::move(payload), std::chrono::steady_clock::now() - age, {}, std::move(admission->caller)};
    raw.reply = ReplyTo(reply());
    if (method_.raw->post(raw)) return;
    raw.reply(
        RawReply::failure({Code::overloaded, "overloaded", "As many requests are under way as may.", ""}));
  }

  /// What can neither be done nor answered is kept, with the reason but without its credential.
  void bury(const nats::Incoming& in, const nats::Job& job, std::string_view tenant, const std::string& id,
            const char* reason, std::string detail) {
    nats::Headers headers{{"Cx-Reason", reason},
                          {"Cx-Detail", std::move(detail)},
                          {"Cx-Attempts", std::to_string(job.deliveries())},
                          {"X-Request-Id", id}};
    stream_.publish(subject_of(options_.prefix, tenant, service_, kDead), in.payload, headers, std::nullopt,
                    [job, tally = tally_](const Result<std::uint64_t>& stored) {
                      if (!stored) return job.later(delay_of(job));
                      tally->dead.add();
                      job.drop();
                    });
  }

  const QueueOptions options_;
  const std::string service_;
  const Method& method_;
  const Door& door_;
  nats::JetStream stream_;
  const std::shared_ptr<Outlet> outlet_;
  const std::shared_ptr<Tally> tally_ = std::make_shared<Tally>();
  EndpointProbe& probe_;
  std::unique_ptr<nats::WorkQueue> queue_;
};

Queue::Queue(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Queue::~Queue() = default;

Result<std::unique_ptr<Queue>> Queue::open(const QueueOptions& options, nats::Connection& connection,
                                           const Method& method, const Door& door, Metrics& metrics,
                                           std::function<bool()> ready) {
  auto impl = std::make_unique<Impl>(options, connection, method, door, metrics);
  if (auto error = impl->open(std::move(ready))) return *std::move(error);
  return std::unique_ptr<Queue>(new Queue(std::move(impl)));
}

void Queue::drain(milliseconds grace) {
  impl_->drain(grace);
}

}  // namespace cx::nats_gateway
