#include "runtime/nats/connection.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <fmt/format.h>
#include <future>
#include <mutex>
#include <optional>
#include <queue>
#include <shared_mutex>
#include <spdlog/spdlog.h>
#include <thread>
#include <unordered_map>

#include "runtime/nats/options.hpp"
#include "runtime/nats/subscription.hpp"

namespace cx::nats {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxAsks = 131'072;
constexpr std::size_t kMaxQueued = 32u << 20;                  // bytes
constexpr auto kTick = std::chrono::milliseconds(5);           // timeouts are looked at no more often
constexpr std::size_t kPerMessage = 128;                       // what a queued message costs beside its bytes
constexpr auto kConnectPause = std::chrono::milliseconds(50);  // between attempts to connect at the start

Error unavailable(std::string detail) {
  return {Code::unavailable, "unavailable", std::move(detail), ""};
}
Error unknown(std::string detail) {
  return {Code::deadline_exceeded, "timeout", std::move(detail), ""};
}
Error failed(std::string detail) {
  return {Code::internal, "nats-failed", std::move(detail), ""};
}

/// Neither may end a line of the protocol or split it.
bool clean(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}
bool one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

std::optional<Error> check(std::string_view subject, std::string_view reply, const Headers& headers) {
  if (subject.empty() || !clean(subject) || !clean(reply))
    return failed("a NATS subject is neither empty nor has blanks or control characters");
  for (const auto& [name, value] : headers)
    if (name.empty() || !clean(name) || name.find(':') != name.npos || !one_line(value))
      return failed("a header's name has no blanks or colons, and its value is one line");
  return std::nullopt;
}

std::size_t size_of(std::string_view payload, const Headers& headers) {
  std::size_t size = payload.size() + (headers.empty() ? 0 : 12);
  for (const auto& [name, value] : headers) size += name.size() + value.size() + 4;
  return size;
}

struct Outgoing {
  std::string subject, reply, payload;
  Headers headers;
  std::uint64_t token = 0;       // of an ask; 0: nobody waits
  std::uint64_t generation = 0;  // of the connection that it is meant for
};

struct Asked {
  std::string subject;
  Connection::Reply reply;
  bool sent = false;  // or about to be
};

/// Callers put messages into a queue that a writer's thread empties, since the library's calls may wait for a
/// server that takes no more bytes. Answers come on one subscription. A timer's thread answers what came to
/// nothing.
class NatsConnection final : public Connection {
 public:
  ~NatsConnection() override;

  std::optional<Error> start(const v1::NatsConfig& config, const std::string& name);

  bool connected() const override { return connected_; }
  std::size_t max_payload() const override { return max_payload_; }
  std::optional<Error> publish(std::string_view subject, std::string_view payload, const Headers& headers,
                               std::string_view reply) override;
  void ask(std::string_view subject, std::string_view payload, const Headers& headers,
           std::chrono::milliseconds timeout, Reply reply) override;
  void later(std::chrono::milliseconds delay, std::function<void()> then) override;
  Result<std::unique_ptr<Subscription>> subscribe(const std::string& subject, const std::string& queue,
                                                  Handler handler, std::size_t pending,
                                                  std::function<void(std::uint64_t)> dropped) override;

 private:
  std::optional<Error> connect(natsOptions* options, std::chrono::milliseconds patience);
  std::optional<Error> enqueue(Outgoing outgoing);
  void write();
  void claim(std::vector<Outgoing>& batch);
  natsStatus send(const Outgoing& outgoing);
  void keep_time();
  std::optional<Asked> take(std::uint64_t token);
  void answer(const Incoming& incoming);

  void on_disconnected();
  void on_reconnected();
  void on_closed();

  natsConnection* connection_ = nullptr;
  std::atomic<bool> connected_ = false;
  std::atomic<std::size_t> max_payload_ = 0;
  std::atomic<std::uint64_t> generation_ = 1;
  std::string inbox_;
  std::unique_ptr<Subscription> answers_;

  std::shared_mutex flushing_;
  std::mutex out_mutex_;
  std::condition_variable out_changed_;
  std::vector<Outgoing> out_;
  std::size_t out_bytes_ = 0;
  bool out_stopping_ = false;

  std::mutex ask_mutex_;
  std::condition_variable ask_changed_;
  std::unordered_map<std::uint64_t, Asked> asks_;
  using Deadline = std::pair<Clock::time_point, std::uint64_t>;
  std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> deadlines_;  // of answered asks, too
  std::vector<Asked> lost_;
  Clock::time_point wake_ = Clock::time_point::max();
  std::uint64_t last_token_ = 0;
  bool closed_ = false;
  bool ask_stopping_ = false;

  std::thread writer_, timer_;
};

std::optional<Error> NatsConnection::start(const v1::NatsConfig& config, const std::string& name) {
  auto options = make_options(config, name);
  if (!options) return options.error();
  const auto raw = options->get();
  // On a thread that all connections of the process share: never to be held up.
  natsOptions_SetDisconnectedCB(
      raw, [](natsConnection*, void* self) { static_cast<NatsConnection*>(self)->on_disconnected(); }, this);
  natsOptions_SetReconnectedCB(
      raw, [](natsConnection*, void* self) { static_cast<NatsConnection*>(self)->on_reconnected(); }, this);
  natsOptions_SetClosedCB(
      raw, [](natsConnection*, void* self) { static_cast<NatsConnection*>(self)->on_closed(); }, this);
  natsOptions_SetErrorHandler(
      raw,
      [](natsConnection*, natsSubscription* subscription, natsStatus status, void*) {
        if (subscription)
          spdlog::warn("NATS: messages of {} are dropped: {}", natsSubscription_GetSubject(subscription),
                       natsStatus_GetText(status));
        else
          spdlog::warn("NATS: {}", natsStatus_GetText(status));
      },
      nullptr);
  if (auto error = connect(raw, std::chrono::milliseconds(config.timeout_ms()))) return error;

  natsInbox* inbox = nullptr;
  if (natsInbox_Create(&inbox) != NATS_OK) return failed("out of memory");
  inbox_ = std::string(inbox) + '.';
  natsInbox_Destroy(inbox);
  max_payload_ = static_cast<std::size_t>(natsConnection_GetMaxPayload(connection_));
  connected_ = natsConnection_Status(connection_) == NATS_CONN_STATUS_CONNECTED;
  auto answers = subscribe(inbox_ + '*', "", [this](const Incoming& incoming) { answer(incoming); }, 0, {});
  if (!answers) return answers.error();
  answers_ = std::move(*answers);
  writer_ = std::thread([this] { write(); });
  timer_ = std::thread([this] { keep_time(); });
  return std::nullopt;
}

std::optional<Error> NatsConnection::connect(natsOptions* options, std::chrono::milliseconds patience) {
  const auto until = Clock::now() + patience;
  for (;;) {
    const auto status = natsConnection_Connect(&connection_, options);
    if (status == NATS_OK) return std::nullopt;
    connection_ = nullptr;
    const std::string text = natsStatus_GetText(status);
    if (status == NATS_CONNECTION_AUTH_FAILED || status == NATS_NOT_PERMITTED)
      return Error{
          Code::permission_denied, "nats-refused",
          fmt::format("the NATS servers refuse our credentials ({}): check nats.credentials, nats.user, "
                      "nats.password_file and nats.token_file",
                      text),
          "/nats"};
    if (status != NATS_NO_SERVER && status != NATS_IO_ERROR && status != NATS_TIMEOUT &&
        status != NATS_CONNECTION_CLOSED && status != NATS_SSL_ERROR)
      return failed(fmt::format("connecting to nats.urls: {}", text));
    if (Clock::now() + kConnectPause >= until)
      return unavailable(
          fmt::format("no server of nats.urls can be connected to within {} ms ({}): check that they run and "
                      "that, with TLS, "
                      "nats.ca signs their certificates",
                      patience.count(), text));
    std::this_thread::sleep_for(kConnectPause);
  }
}

NatsConnection::~NatsConnection() {
  if (!connection_) return;
  {
    std::lock_guard lock(out_mutex_);
    out_stopping_ = true;
  }
  out_changed_.notify_all();
  if (writer_.joinable()) writer_.join();
  {
    std::lock_guard lock(ask_mutex_);
    ask_stopping_ = true;
  }
  ask_changed_.notify_all();
  if (timer_.joinable()) timer_.join();
  answers_.reset();
  natsConnection_Close(connection_);
  {
    // The library's calls of ours are posted to its thread; that it closed is the last.
    std::unique_lock lock(ask_mutex_);
    ask_changed_.wait(lock, [this] { return closed_; });
  }
  natsConnection_Destroy(connection_);
  for (auto& [token, asked] : asks_)
    asked.reply(unknown("the connection to NATS was closed before the answer"));
  for (auto& asked : lost_) asked.reply(unknown("the connection to NATS was lost before the answer"));
}

// --- out ---

std::optional<Error> NatsConnection::publish(std::string_view subject, std::string_view payload,
                                             const Headers& headers, std::string_view reply) {
  if (auto error = check(subject, reply, headers)) return error;
  if (size_of(payload, headers) > max_payload())
    return failed(fmt::format(
        "a message of {} bytes is more than the {} that the NATS servers take: raise their max_payload",
        size_of(payload, headers), max_payload()));
  return enqueue({std::string(subject), std::string(reply), std::string(payload), headers, 0, generation_});
}

std::optional<Error> NatsConnection::enqueue(Outgoing outgoing) {
  if (!connected_) return unavailable("not connected to NATS: try again");
  const auto size = outgoing.payload.size() + outgoing.subject.size() + kPerMessage;
  {
    std::lock_guard lock(out_mutex_);
    if (out_bytes_ + size > kMaxQueued) return unavailable("too much waits to be sent to NATS: try again");
    out_bytes_ += size;
    out_.push_back(std::move(outgoing));
  }
  out_changed_.notify_one();
  return std::nullopt;
}

void NatsConnection::write() {
  std::vector<Outgoing> batch;
  std::unique_lock lock(out_mutex_);
  for (;;) {
    out_changed_.wait(lock, [this] { return out_stopping_ || !out_.empty(); });
    if (out_.empty()) break;
    batch.swap(out_);
    out_bytes_ = 0;
    lock.unlock();
    claim(batch);
    for (const auto& outgoing : batch) {
      // A connection that broke since then must not send it later, when its caller has been told that it
      // failed.
      if (outgoing.generation != generation_) continue;
      const auto status = send(outgoing);
      // Anything else is found out by the reader, too, and answered as unknown.
      const bool refused = status == NATS_INSUFFICIENT_BUFFER || status == NATS_CONNECTION_CLOSED ||
                           status == NATS_MAX_PAYLOAD || status == NATS_INVALID_ARG ||
                           status == NATS_NO_SERVER_SUPPORT;
      if (!refused) continue;
      if (auto asked = outgoing.token ? take(outgoing.token) : std::nullopt)
        asked->reply(
            unavailable(fmt::format("{} was not sent: {}", outgoing.subject, natsStatus_GetText(status))));
    }
    batch.clear();
    // Has the library write at once what it gathered; it would wait a millisecond for more. The answer to the
    // ping is not needed, but gathers the next batch.
    if (const std::unique_lock flush(flushing_, std::try_to_lock); flush)
      natsConnection_FlushTimeout(connection_, 1);
    lock.lock();
  }
  lock.unlock();
  nats_ReleaseThreadMemory();
}

/// Drops what nobody waits for any more, and notes that the rest may be on its way.
void NatsConnection::claim(std::vector<Outgoing>& batch) {
  std::lock_guard lock(ask_mutex_);
  std::erase_if(batch, [this](const Outgoing& outgoing) {
    if (!outgoing.token) return false;
    const auto found = asks_.find(outgoing.token);
    if (found == asks_.end()) return true;
    found->second.sent = true;
    return false;
  });
}

natsStatus NatsConnection::send(const Outgoing& o) {
  const auto size = static_cast<int>(o.payload.size());
  if (o.headers.empty() && o.reply.empty())
    return natsConnection_Publish(connection_, o.subject.c_str(), o.payload.data(), size);
  if (o.headers.empty())
    return natsConnection_PublishRequest(connection_, o.subject.c_str(), o.reply.c_str(), o.payload.data(),
                                         size);
  natsMsg* message = nullptr;
  auto status = natsMsg_Create(&message, o.subject.c_str(), o.reply.empty() ? nullptr : o.reply.c_str(),
                               o.payload.data(), size);
  for (const auto& [name, value] : o.headers)
    if (status == NATS_OK) status = natsMsgHeader_Add(message, name.c_str(), value.c_str());
  if (status == NATS_OK) status = natsConnection_PublishMsg(connection_, message);
  natsMsg_Destroy(message);
  return status;
}

// --- asking ---

void NatsConnection::ask(std::string_view subject, std::string_view payload, const Headers& headers,
                         std::chrono::milliseconds timeout, Reply reply) {
  auto error = check(subject, "", headers);
  if (!error && size_of(payload, headers) > max_payload())
    error = failed(fmt::format("a message of {} bytes is more than the {} that the NATS servers take",
                               size_of(payload, headers), max_payload()));
  if (error) return reply(*error);
  std::uint64_t token = 0;
  std::uint64_t generation = 0;
  bool sooner = false;
  {
    std::lock_guard lock(ask_mutex_);
    if (!connected_)
      error = unavailable("not connected to NATS: try again");
    else if (asks_.size() >= kMaxAsks)
      error = unavailable("too many requests to NATS are under way: try again");
    else {
      token = ++last_token_;
      generation = generation_;
      const auto deadline = Clock::now() + timeout;
      sooner = deadline < wake_;
      asks_.emplace(token, Asked{std::string(subject), std::move(reply)});
      deadlines_.emplace(deadline, token);
    }
  }
  if (error) return reply(*error);
  if (sooner) ask_changed_.notify_all();
  error = enqueue({std::string(subject), inbox_ + std::to_string(token), std::string(payload), headers, token,
                   generation});
  if (!error) return;
  if (auto asked = take(token)) asked->reply(*error);
}

/// An ask that is never sent.
void NatsConnection::later(std::chrono::milliseconds delay, std::function<void()> then) {
  const auto deadline = Clock::now() + delay;
  bool sooner = false;
  {
    std::lock_guard lock(ask_mutex_);
    sooner = deadline < wake_;
    const auto token = ++last_token_;
    asks_.emplace(token, Asked{"", [then = std::move(then)](const Result<Received>&) { then(); }});
    deadlines_.emplace(deadline, token);
  }
  if (sooner) ask_changed_.notify_all();
}

std::optional<Asked> NatsConnection::take(std::uint64_t token) {
  std::lock_guard lock(ask_mutex_);
  const auto found = asks_.find(token);
  if (found == asks_.end()) return std::nullopt;
  auto asked = std::move(found->second);
  asks_.erase(found);
  return asked;
}

void NatsConnection::answer(const Incoming& incoming) {
  const auto text = incoming.subject.substr(std::min(inbox_.size(), incoming.subject.size()));
  std::uint64_t token = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), token);
  if (bad != std::errc{} || end != text.data() + text.size()) return;
  auto asked = take(token);
  if (!asked) return;
  if (incoming.payload.empty() && incoming.header("Status") == "503")
    return asked->reply(unavailable(fmt::format("nobody answers on {}", asked->subject)));
  asked->reply(Received{std::string(incoming.subject), std::string(incoming.payload), incoming.headers()});
}

void NatsConnection::keep_time() {
  std::vector<Asked> late;
  std::unique_lock lock(ask_mutex_);
  while (!ask_stopping_) {
    const auto now = Clock::now();
    while (!deadlines_.empty() && deadlines_.top().first <= now) {
      const auto found = asks_.find(deadlines_.top().second);
      deadlines_.pop();
      if (found == asks_.end()) continue;
      late.push_back(std::move(found->second));
      asks_.erase(found);
    }
    auto lost = std::exchange(lost_, {});
    if (!late.empty() || !lost.empty()) {
      lock.unlock();
      for (auto& asked : late)
        asked.reply(asked.sent ? unknown(fmt::format("{} was not answered in time", asked.subject))
                               : unavailable(fmt::format("{} could not be sent in time", asked.subject)));
      for (auto& asked : lost)
        asked.reply(asked.sent ? unknown(fmt::format("the connection to NATS was lost before {} was answered",
                                                     asked.subject))
                               : unavailable(fmt::format("the connection to NATS was lost before {} was sent",
                                                         asked.subject)));
      late.clear();
      lock.lock();
      continue;
    }
    if (deadlines_.empty()) {
      wake_ = Clock::time_point::max();
      ask_changed_.wait(lock);
    } else {
      wake_ = std::max(deadlines_.top().first, now + kTick);
      ask_changed_.wait_until(lock, wake_);
    }
    wake_ = Clock::time_point::min();
  }
}

// --- what the library tells ---

void NatsConnection::on_disconnected() {
  bool closing = false;
  {
    std::lock_guard lock(ask_mutex_);
    closing = ask_stopping_;
    connected_ = false;
    ++generation_;
    for (auto& [token, asked] : asks_) lost_.push_back(std::move(asked));
    asks_.clear();
    deadlines_ = {};
  }
  ask_changed_.notify_all();
  if (!closing) spdlog::warn("NATS: the connection is lost; reconnecting");
}

void NatsConnection::on_reconnected() {
  std::array<char, 256> url{};
  natsConnection_GetConnectedUrl(connection_, url.data(), url.size());
  max_payload_ = static_cast<std::size_t>(natsConnection_GetMaxPayload(connection_));
  {
    std::lock_guard lock(ask_mutex_);
    connected_ = true;
  }
  spdlog::info("NATS: connected again, to {}", url.data());
}

void NatsConnection::on_closed() {
  std::lock_guard lock(ask_mutex_);
  if (!ask_stopping_)
    spdlog::error("NATS: the servers refuse our credentials now; the connection is closed until a restart");
  connected_ = false;
  closed_ = true;
  ask_changed_.notify_all();
}

Result<std::unique_ptr<Subscription>> NatsConnection::subscribe(const std::string& subject,
                                                                const std::string& queue, Handler handler,
                                                                std::size_t pending,
                                                                std::function<void(std::uint64_t)> dropped) {
  if (auto error = check(subject, queue, {})) return *error;
  return make_subscription(connection_, flushing_, subject, queue, std::move(handler), pending,
                           std::move(dropped));
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const v1::NatsConfig& config, const std::string& name) {
  auto connection = std::make_unique<NatsConnection>();
  if (auto error = connection->start(config, name)) return *error;
  return std::unique_ptr<Connection>(std::move(connection));
}

Result<Received> Connection::request(std::string_view subject, std::string_view payload,
                                     const Headers& headers, std::chrono::milliseconds timeout) {
  std::promise<Result<Received>> promise;
  auto future = promise.get_future();
  ask(subject, payload, headers, timeout,
      [&promise](Result<Received> result) { promise.set_value(std::move(result)); });
  return future.get();
}

}  // namespace cx::nats
