#include "runtime/nats/jetstream.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <future>
#include <google/protobuf/util/time_util.h>
#include <memory>
#include <openssl/evp.h>
#include <utility>

#include "runtime/nats/api.hpp"
#include "runtime/nats/follower.hpp"

namespace cx::nats {
namespace {

using api::call;
using api::number;
using boost::json::array;
using boost::json::object;

constexpr std::chrono::milliseconds kManagement{10'000};  // at least: creating a stream elects its leader
constexpr auto kExpectedLast = "Nats-Expected-Last-Subject-Sequence";
constexpr auto kMessageId = "Nats-Msg-Id";
constexpr auto kInProcess = "in-process";  // another is on its way, or its id was refused: never passed on
constexpr std::chrono::milliseconds kInProcessFirst{5}, kInProcessMost{50};  // between looks at what became

std::int64_t nanoseconds(std::chrono::nanoseconds time) {
  return time.count();
}
std::int64_t limit(std::int64_t value) {
  return value > 0 ? value : -1;
}

object wanted(const StreamConfig& config) {
  array subjects;
  for (const auto& subject : config.subjects) subjects.emplace_back(subject);
  const auto age = nanoseconds(std::chrono::hours(config.max_age_hours));
  auto window = nanoseconds(config.duplicate_window);
  if (age > 0) window = std::min(window, age);
  return {{"name", config.name},
          {"subjects", std::move(subjects)},
          {"retention", config.work_queue ? "workqueue" : "limits"},
          {"storage", "file"},
          {"discard", "old"},
          {"num_replicas", config.replicas},
          {"max_age", age},
          {"max_bytes", limit(config.max_bytes)},
          {"max_msgs", -1},
          {"max_msgs_per_subject", limit(config.max_per_subject)},
          {"max_msg_size", -1},
          {"max_consumers", -1},
          {"duplicate_window", window},
          {"allow_direct", false}};
}

/// What `there` becomes by `wanted`: its subjects stay, too. Whether it is different.
bool merge(object& there, const object& wanted) {
  bool changed = false;
  for (const auto& [key, value] : wanted) {
    auto now = value;
    if (key == "subjects" && there.if_contains(key) && there[key].is_array()) {
      now = there[key];
      for (const auto& subject : value.get_array())
        if (std::ranges::find(now.get_array(), subject) == now.get_array().end())
          now.get_array().push_back(subject);
    }
    // A server leaves out what is not set.
    const auto* old = there.if_contains(key);
    if (!old && now == boost::json::value(false)) continue;
    if (old && *old == now) continue;
    there[key] = std::move(now);
    changed = true;
  }
  return changed;
}

std::string from_base64(std::string_view text) {
  std::string out(text.size() / 4 * 3, '\0');
  if (text.empty() || text.size() % 4 != 0) return {};
  const auto size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  const auto padding = text.ends_with("==") ? 2u : text.ends_with('=') ? 1u : 0u;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

/// Of "NATS/1.0\r\nName: value\r\n...\r\n\r\n".
Headers parse_headers(std::string_view text) {
  Headers headers;
  for (bool first = true; !text.empty(); first = false) {
    const auto end = text.find("\r\n");
    const auto line = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 2);
    const auto colon = line.find(':');
    if (first || colon == line.npos) continue;
    auto value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    headers.emplace_back(line.substr(0, colon), value);
  }
  return headers;
}

Result<Stored> get_message(Connection& connection, const std::string& stream, object request,
                           std::chrono::milliseconds timeout) {
  const auto answer = call(connection, "STREAM.MSG.GET." + stream, request, timeout);
  if (!answer) return answer.error();
  const auto& message = api::member(*answer, "message");
  Stored stored;
  stored.sequence = number(message, "seq");
  stored.subject = api::text(message, "subject");
  stored.payload = from_base64(api::text(message, "data"));
  stored.headers = parse_headers(from_base64(api::text(message, "hdrs")));
  google::protobuf::Timestamp at;
  if (google::protobuf::util::TimeUtil::FromString(std::string(api::text(message, "time")), &at))
    stored.at = google::protobuf::util::TimeUtil::TimestampToMilliseconds(at);
  if (stored.sequence == 0)
    return Error{Code::internal, "nats-failed", fmt::format("{}: a message without a number", stream), ""};
  return stored;
}

/// What a stream says to a message.
Result<std::uint64_t> sequence_of(Result<Received> answer, std::string_view what, bool conditional) {
  const auto parsed = api::parse(std::move(answer), what);
  if (!parsed) return parsed.error();
  const auto sequence = number(*parsed, "seq");
  const bool duplicate = parsed->contains("duplicate");
  if (sequence > 0 && !(duplicate && conditional)) return sequence;
  if (sequence > 0)
    return Error{Code::conflict, "wrong-last-sequence",
                 fmt::format("{}: message {} is there already", what, sequence), ""};
  if (duplicate)
    return Error{Code::unavailable, kInProcess, fmt::format("{}: the same is on its way", what), ""};
  return Error{Code::internal, "nats-failed", fmt::format("{}: what answered is no stream", what), ""};
}

/// A message that is stored on the condition of the one before it. Keeps itself while it is under way.
class Conditional : public std::enable_shared_from_this<Conditional> {
 public:
  Conditional(Connection& connection, std::chrono::milliseconds timeout, std::string_view subject,
              std::string_view payload, const Headers& headers, std::uint64_t after,
              JetStream::Stored1 stored)
      : connection_(connection),
        until_(Clock::now() + timeout),
        subject_(subject),
        payload_(payload),
        headers_(headers),
        stored_(std::move(stored)) {
    headers_.emplace_back(kExpectedLast, std::to_string(after));
    // In a stream with replicas, nats-server 2.9.10 looks at this condition before it proposes the message,
    // and no more when it is applied: of two on their way at once both could be stored. A message id is
    // compared when it is applied. Only one message may follow another, so the id names the one before: what
    // comes second is a duplicate.
    if (after > 0) headers_.emplace_back(kMessageId, fmt::format("after-{}", after));
    has_id_ = after > 0;
  }

  void send() {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(until_ - Clock::now());
    connection_.ask(subject_, payload_, headers_, std::max(left, milliseconds(1)),
                    [self = shared_from_this()](Result<Received> answer) {
                      self->answered(sequence_of(std::move(answer), self->subject_, true));
                    });
  }

 private:
  using Clock = std::chrono::steady_clock;

  void answered(Result<std::uint64_t> answer) {
    if (answer || answer.error().type != kInProcess) return stored_(std::move(answer));
    if (std::exchange(has_id_, false)) {
      // Servers since 2.10 may remember ids of messages that they refused; and those look at the condition
      // when it is applied, or let nothing else onto the subject until then.
      headers_.pop_back();
      return send();
    }
    if (Clock::now() + pause_ >= until_)
      return stored_(Error{Code::unavailable, "unavailable", answer.error().detail, ""});
    connection_.later(std::exchange(pause_, std::min(2 * pause_, kInProcessMost)),
                      [self = shared_from_this()] { self->send(); });
  }

  Connection& connection_;
  const Clock::time_point until_;
  const std::string subject_, payload_;
  Headers headers_;
  bool has_id_ = false;  // the last of the headers
  const JetStream::Stored1 stored_;
  std::chrono::milliseconds pause_ = kInProcessFirst;
};

}  // namespace

JetStream::JetStream(Connection& connection, std::chrono::milliseconds timeout)
    : connection_(connection), timeout_(timeout) {}

std::optional<Error> JetStream::ensure(const StreamConfig& config) {
  const auto patience = std::max(timeout_, kManagement);
  auto info = call(connection_, "STREAM.INFO." + config.name, {}, timeout_);
  if (!info && info.error().type == "stream-missing") {
    const auto created = call(connection_, "STREAM.CREATE." + config.name, wanted(config), patience);
    if (created) return std::nullopt;
    // Another node may have been faster.
    info = call(connection_, "STREAM.INFO." + config.name, {}, timeout_);
    if (!info) return created.error();
  }
  if (!info) return info.error();
  auto there = api::member(*info, "config");
  if (!merge(there, wanted(config))) return std::nullopt;
  const auto updated = call(connection_, "STREAM.UPDATE." + config.name, there, patience);
  if (!updated) return updated.error();
  return std::nullopt;
}

void JetStream::publish(std::string_view subject, std::string_view payload, const Headers& headers,
                        std::optional<std::uint64_t> after, Stored1 stored) {
  if (after)
    return std::make_shared<Conditional>(connection_, timeout_, subject, payload, headers, *after,
                                         std::move(stored))
        ->send();
  connection_.ask(subject, payload, headers, timeout_,
                  [stored = std::move(stored), what = std::string(subject)](Result<Received> answer) {
                    stored(sequence_of(std::move(answer), what, false));
                  });
}

Result<std::uint64_t> JetStream::publish(std::string_view subject, std::string_view payload,
                                         const Headers& headers, std::optional<std::uint64_t> after) {
  std::promise<Result<std::uint64_t>> promise;
  auto future = promise.get_future();
  publish(subject, payload, headers, after,
          [&promise](Result<std::uint64_t> result) { promise.set_value(std::move(result)); });
  return future.get();
}

Result<Stored> JetStream::get(const std::string& stream, std::uint64_t sequence) {
  // 0 would ask for something else.
  if (sequence == 0)
    return Error{Code::not_found, "not-found", stream + ": messages are numbered from 1", ""};
  return get_message(connection_, stream, {{"seq", sequence}}, timeout_);
}

Result<Stored> JetStream::last(const std::string& stream, std::string_view subject) {
  return get_message(connection_, stream, {{"last_by_subj", subject}}, timeout_);
}

Result<Stored> JetStream::next(const std::string& stream, std::string_view subject, std::uint64_t sequence) {
  return get_message(connection_, stream,
                     {{"seq", std::max<std::uint64_t>(sequence, 1)}, {"next_by_subj", subject}}, timeout_);
}

Result<StreamState> JetStream::state(const std::string& stream, const std::string& subject) {
  StreamState state;
  for (std::uint64_t offset = 0;;) {
    object request;
    if (!subject.empty()) request = {{"subjects_filter", subject}, {"offset", offset}};
    const auto info = call(connection_, "STREAM.INFO." + stream, request, timeout_);
    if (!info) return info.error();
    const auto& now = api::member(*info, "state");
    state.last = number(now, "last_seq");
    state.first = number(now, "messages") == 0 ? state.last + 1 : number(now, "first_seq");
    if (subject.empty()) {
      state.messages = number(now, "messages");
      return state;
    }
    const auto& subjects = api::member(now, "subjects");
    for (const auto& [name, count] : subjects) state.messages += number(subjects, name);
    offset += subjects.size();
    // Many subjects come in pages.
    if (subjects.empty() || offset >= number(*info, "total")) return state;
  }
}

std::optional<Error> JetStream::purge(const std::string& stream, std::string_view subject,
                                      std::uint64_t below) {
  if (below == 1) return std::nullopt;  // of which the server would make everything
  object request;
  if (!subject.empty()) request["filter"] = subject;
  if (below > 0) request["seq"] = below;
  const auto purged = call(connection_, "STREAM.PURGE." + stream, request, std::max(timeout_, kManagement));
  if (!purged) return purged.error();
  return std::nullopt;
}

std::unique_ptr<Follower> JetStream::follow(const std::string& stream, const std::string& subject,
                                            std::uint64_t from, std::function<void(Stored&&)> use,
                                            std::function<void()> caught_up) {
  return make_follower(connection_, timeout_, stream, subject, from, std::move(use), std::move(caught_up));
}

}  // namespace cx::nats
