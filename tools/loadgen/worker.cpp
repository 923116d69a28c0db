#include "tools/loadgen/worker.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace cx::loadgen {
namespace {

constexpr std::size_t kFirstBuffer = 8 * 1024;
constexpr std::size_t kMaxResponse = 1024 * 1024;
constexpr Nanos kReconnectAfter = 100 * kMillisecond;

Nanos nanos(std::chrono::milliseconds time) {
  return time.count() * kMillisecond;
}

}  // namespace

Nanos steady_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Worker::Worker(Shared& shared, std::vector<Template> requests, std::uint32_t index)
    : shared_(shared),
      plan_(shared.plan),
      index_(index),
      requests_(std::move(requests)),
      random_(plan_.seed + index),
      zipf_(plan_.users, plan_.zipf),
      next_user_(index),
      next_request_(random_()),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      connections_(plan_.connections / plan_.threads + (index < plan_.connections % plan_.threads)) {
  if (plan_.mode == Mode::open) {
    const auto first = static_cast<Nanos>(static_cast<double>(kSecond) / plan_.rate * index);
    schedule_.emplace(plan_.arrivals, plan_.rate / plan_.threads, first, shared.end, random_());
  }
}

Worker::~Worker() {
  for (const Connection& connection : connections_)
    if (connection.fd >= 0) close(connection.fd);
  close(epoll_);
}

void Worker::run() {
  Nanos at = now();
  for (Connection& connection : connections_) connect(connection, at);
  std::array<epoll_event, 128> events;
  while (!over(at)) {
    const Nanos wait = std::max<Nanos>(wake_at(at) - at, 0);
    const timespec timeout{static_cast<time_t>(wait / kSecond), static_cast<long>(wait % kSecond)};
    const int ready = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    at = now();
    for (int i = 0; i < ready; ++i)
      on_event(*static_cast<Connection*>(events[i].data.ptr), events[i].events, at);
    if (at >= next_sweep_) sweep(at);
    dispatch(at);
  }
  if (schedule_)
    for (const Nanos intended : schedule_->waiting()) tally_.dropped += measured(intended);
}

// Each request under way is answered, lost or swept away; so this comes true.
bool Worker::over(Nanos now) {
  if (busy_ > 0) return false;
  switch (plan_.mode) {
    case Mode::open:
      return now >= shared_.end + nanos(plan_.timeout) ||
             (schedule_->exhausted() && schedule_->waiting().empty());
    case Mode::once_each:
      return now >= shared_.end || next_user_ >= plan_.users;
    case Mode::closed:
      break;
  }
  return now >= shared_.end;
}

Nanos Worker::wake_at(Nanos now) const {
  // Without a free connection an arrival can wait for the sweep: it keeps its intended time.
  if (!schedule_ || schedule_->exhausted() || idle_.empty()) return std::max(next_sweep_, now);
  return std::min(next_sweep_, schedule_->next());
}

// The intended time of a request that should be sent now.
std::optional<Nanos> Worker::next_due(Nanos now) {
  if (schedule_) return now < shared_.end + nanos(plan_.timeout) ? schedule_->take() : std::nullopt;
  const bool more = now < shared_.end && (plan_.mode == Mode::closed || next_user_ < plan_.users);
  return more ? std::optional(now) : std::nullopt;
}

void Worker::dispatch(Nanos now) {
  if (schedule_) tally_.dropped += schedule_->advance(now, shared_.measure_at);
  while (!idle_.empty()) {
    const auto due = next_due(now);
    if (!due) return;
    Connection& connection = *idle_.front();
    idle_.pop_front();
    send(connection, *due, now);
  }
}

void Worker::connect(Connection& connection, Nanos now) {
  connection.state = State::connecting;
  connection.since = now;
  const auto* address = reinterpret_cast<const sockaddr*>(&shared_.target.address);
  connection.fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &connection;
  if (connection.fd < 0 || setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      (::connect(connection.fd, address, shared_.target.address_size) != 0 && errno != EINPROGRESS) ||
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) {
    tally_.failed_connects += measured(now);
    disconnect(connection, now);
  }
}

// Leaves the connection to the sweep, which connects it again.
void Worker::disconnect(Connection& connection, Nanos now) {
  if (connection.state == State::idle) std::erase(idle_, &connection);
  if (connection.state == State::busy) --busy_;
  if (connection.fd >= 0) close(connection.fd);
  connection.fd = -1;
  connection.state = State::down;
  connection.since = now;
  connection.unsent.clear();
}

void Worker::become_idle(Connection& connection, Nanos now) {
  connection.state = State::idle;
  connection.since = now;
  idle_.push_back(&connection);
}

void Worker::on_event(Connection& connection, std::uint32_t events, Nanos now) {
  const bool ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (connection.state == State::connecting) {
    if (ended) {
      tally_.failed_connects += measured(now);
      return disconnect(connection, now);
    }
    if ((events & EPOLLOUT) != 0) become_idle(connection, now);
    return;
  }
  if (connection.state == State::busy && !connection.unsent.empty()) flush(connection, now);
  if (connection.state == State::busy && (events & EPOLLIN) != 0) receive(connection, now);
  if (!ended) return;
  if (connection.state == State::busy) lose(connection, now);
  if (connection.state == State::idle) disconnect(connection, now);
}

void Worker::send(Connection& connection, Nanos intended, Nanos now) {
  if (plan_.mode == Mode::once_each) {
    connection.user = next_user_;
    next_user_ += plan_.threads;
  } else {
    connection.user = zipf_(random_);
  }
  Template& request = requests_[below(random_, static_cast<std::uint32_t>(requests_.size()))];
  const std::string_view bytes = request.fill(next_request_++, connection.user);
  if (plan_.check_ids) connection.request_id = request.request_id();
  connection.state = State::busy;
  connection.since = now;
  connection.intended = intended;
  connection.scanner.reset();
  connection.received_size = 0;
  ++busy_;
  if (measured(intended)) {
    ++tally_.sent;
    tally_.bytes_out += bytes.size();
  }
  // The template is patched again for the next request: what the socket does not take at once is kept.
  const ssize_t sent = ::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return lose(connection, now);
  if (sent < static_cast<ssize_t>(bytes.size()))
    connection.unsent = bytes.substr(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
}

void Worker::flush(Connection& connection, Nanos now) {
  const ssize_t sent =
      ::send(connection.fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return lose(connection, now);
  if (sent > 0) connection.unsent.erase(0, static_cast<std::size_t>(sent));
}

void Worker::receive(Connection& connection, Nanos now) {
  auto& buffer = connection.received;
  while (true) {
    if (connection.received_size == buffer.size()) buffer.resize(std::max(kFirstBuffer, buffer.size() * 2));
    const std::size_t space = buffer.size() - connection.received_size;
    const ssize_t got = recv(connection.fd, buffer.data() + connection.received_size, space, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return lose(connection, now);
    connection.received_size += static_cast<std::size_t>(got);
    const std::string_view response(buffer.data(), connection.received_size);
    const auto state = connection.scanner.scan(response);
    if (state == ResponseScanner::State::complete) return complete(connection, response, now);
    if (state == ResponseScanner::State::malformed || response.size() >= kMaxResponse)
      return lose(connection, now);
    // A read that leaves room has emptied the socket; more bytes are a new edge.
    if (static_cast<std::size_t>(got) < space) return;
  }
}

void Worker::complete(Connection& connection, std::string_view response, Nanos now) {
  const int status = connection.scanner.status();
  const std::string_view body = connection.scanner.body(response);
  const std::size_t bids = status == 200 ? count_bids(body) : 0;
  if (bids > 0)
    shared_.bids_of_user[connection.user].fetch_add(static_cast<std::uint32_t>(bids),
                                                    std::memory_order_relaxed);
  if (status == 200 && plan_.check_ids)
    tally_.mismatched += body.find(connection.request_id) == std::string_view::npos;

  if (measured(connection.intended)) {
    if (status == 204)
      ++tally_.empty;
    else if (status < 300)
      ++tally_.ok, tally_.ok_body_bytes += body.size();
    else if (status < 500)
      ++tally_.client_error;
    else
      ++tally_.server_error;
    tally_.bids += bids;
    tally_.bytes_in += response.size();
    tally_.latency.record(static_cast<std::uint64_t>(std::max<Nanos>(now - connection.intended, 0)));
    tally_.last_answer = now;
  }

  if (connection.scanner.keep_alive()) {
    --busy_;
    return become_idle(connection, now);
  }
  disconnect(connection, now);
  connect(connection, now);
}

void Worker::lose(Connection& connection, Nanos now) {
  tally_.connection_errors += measured(connection.intended);
  disconnect(connection, now);
}

void Worker::sweep(Nanos now) {
  const Nanos timeout = nanos(plan_.timeout);
  next_sweep_ = now + std::clamp(timeout / 20, kMillisecond, 50 * kMillisecond);
  for (Connection& connection : connections_) {
    const Nanos age = now - connection.since;
    if (connection.state == State::down && age >= kReconnectAfter) {
      connect(connection, now);
    } else if (connection.state == State::connecting && age >= timeout) {
      tally_.failed_connects += measured(now);
      disconnect(connection, now);
    } else if (connection.state == State::busy && age >= timeout) {
      if (measured(connection.intended)) {
        ++tally_.timeouts;
        tally_.latency.record(static_cast<std::uint64_t>(now - connection.intended));
      }
      disconnect(connection, now);
      connect(connection, now);
    }
  }
}

}  // namespace cx::loadgen
