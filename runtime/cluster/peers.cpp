#include "runtime/cluster/peers.hpp"

#include <algorithm>
#include <caf/io/middleman.hpp>
#include <caf/response_promise.hpp>
#include <caf/send.hpp>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include "runtime/address.hpp"
#include "runtime/cluster/forwarder_messages.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/entity/region.hpp"

namespace cx::cluster {
namespace {

using tick_atom = caf::atom_constant<caf::atom("cx-tick")>;
using soon_atom = caf::atom_constant<caf::atom("cx-soon")>;
using flush_atom = caf::atom_constant<caf::atom("cx-flush")>;

constexpr std::chrono::milliseconds kTick{50};
constexpr std::chrono::milliseconds kSoon{4};  // while something waits
constexpr std::size_t kRead = 64u << 10;
constexpr std::size_t kMostUnsent = 128u << 20;  // of what the other side does not read
constexpr std::size_t kMostUnknown = 64;         // connections that have not said who they are
constexpr std::int64_t kBeat = 1000;
constexpr std::int64_t kSilence = 5000;
constexpr std::int64_t kStranger = 10'000;  // that somebody whom the topology does not have may stay
constexpr std::int64_t kFirstBackoff = 50;
constexpr std::int64_t kLongestBackoff = 1000;
// Nodes that start at the same time miss each other at first: until here, that is not worth a word.
constexpr std::int64_t kPatientBackoff = 400;
constexpr std::size_t kMostNodes = 1000;  // that are counted by name

Error not_here(std::uint32_t shard) {
  return {Code::unavailable, kNotHere, fmt::format("Shard {} is not on this node; nothing was done.", shard),
          ""};
}

Error too_busy() {
  return {
      Code::overloaded, "overloaded",
      "The node that owns the entity has as many commands of this node under way as it takes; nothing was "
      "done, retry in a second.",
      ""};
}

Error too_large(std::size_t bytes) {
  return {
      Code::invalid_argument, "too-large",
      fmt::format("It takes {} bytes to send that to the node of its entity, and at most {} are sent; make "
                  "it smaller.",
                  bytes, Link::kMostFrame),
      ""};
}

/// Whether it can be logged as it is.
bool is_plain(const std::string& name) {
  return !name.empty() && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127; });
}

}  // namespace

Forwarder::Peers::Peers(Parts parts)
    : parts_(std::move(parts)),
      outgoing_({parts_.config.peer_credit(), parts_.config.patience_ms()}, *this, *counts_) {
  const auto count = [&](const char* name, const char* help, Counter Outgoing::Counts::*which) {
    parts_.metrics.counter(name, help,
                           [c = counts_, which] { return static_cast<double>((*c.*which).value()); });
  };
  count("cx_forwarded_total", "Requests sent to other nodes.", &Outgoing::Counts::sent);
  count("cx_forwards_retried_total", "Requests that went back to wait: not there, or a lost connection.",
        &Outgoing::Counts::retried);
  count("cx_forwards_unknown_total", "Requests whose outcome is unknown for a lost connection.",
        &Outgoing::Counts::unknown);
  count("cx_forwards_refused_total", "Requests refused for want of credit.", &Outgoing::Counts::overloaded);
  count("cx_forwards_expired_total", "Requests whose time was over.", &Outgoing::Counts::expired);
  parts_.metrics.gauge("cx_forwards_waiting", "Requests that wait for an owner of their shard.",
                       [c = counts_] { return static_cast<double>(c->waiting.load()); });
  parts_.metrics.gauge("cx_forwards_under_way", "Requests that other nodes have not answered.",
                       [c = counts_] { return static_cast<double>(c->under_way.load()); });
}

caf::behavior Forwarder::Peers::run(caf::io::broker* self) {
  self_ = self;
  ticked_ = now();
  // Without it nothing leaves this node: stray mail must not end it, and a fault of ours must not go unseen.
  self->set_default_handler(caf::drop);
  self->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self->set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& failure) -> caf::error {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      fmt::print(stderr, "The way to other nodes has failed, so that this process cannot go on: {}\n",
                 e.what());
    }
    std::abort();
  });
  self->delayed_send(self, kTick, tick_atom::value);
  return {
      [this](Request& request) {
        if (!self_->current_mailbox_element()->mid.is_request()) return submit(request, [](const Answer&) {});
        submit(request, [promise = self_->make_response_promise()](Answer answer) mutable {
          if (answer)
            promise.deliver(std::move(*answer));
          else
            promise.deliver(to_caf(answer.error()));
        });
      },
      [this](Asked& asked) { submit(asked.request, std::move(asked.respond)); },
      [this](Home& home) { outgoing_.answered(home.id, std::move(home.answer), now()), watch(); },
      [this](Served& served) {
        auto* to = find(served.connection);
        if (to == nullptr) return;
        --to->served;
        to->link.add(served.frame);
        touch(*to);
      },
      [this](Question& question) {
        if (outgoing_.topology() && question.member == outgoing_.topology()->self && answerer)
          return answerer(std::move(question.message), std::move(question.respond));
        const auto until = now() + std::max<std::int64_t>(1, question.patience_ms);
        outgoing_.ask(question.member, std::move(question.message), std::move(question.respond), until,
                      now());
        watch();
      },
      [this](TopologyPtr& topology) { update(std::move(topology)); },
      [this](SocketPtr& acceptor) {
        if (!stopped_) accept_on(*self_, *acceptor, tls());
      },
      [this](Dialled& result) { dialled(result); },
      [this](Stop& asked) {
        stop();
        asked.done->set_value();
      },
      [this](const caf::io::new_connection_msg& made) { open(made.handle, ""); },
      [this](const caf::io::new_data_msg& data) { received(data); },
      [this](const caf::io::connection_closed_msg& closed) {
        const auto found = by_handle_.find(closed.handle);
        if (found != by_handle_.end()) close(found->second, "the other side closed it", false);
      },
      [this](flush_atom) { flush(); },
      [this](soon_atom) {
        ticking_fast_ = false;
        outgoing_.tick(now());
        watch();
      },
      [this](tick_atom) { tick(); },
  };
}

std::int64_t Forwarder::Peers::now() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(parts_.clock.steady().time_since_epoch())
      .count();
}

v1::PeerHello Forwarder::Peers::hello() const {
  v1::PeerHello hello;
  hello.set_incarnation(outgoing_.topology()->self);
  hello.set_node(parts_.node);
  hello.set_version(parts_.version);
  hello.set_protocol(Link::kProtocol);
  hello.set_cluster(parts_.config.name());
  return hello;
}

Forwarder::Peers::Connection* Forwarder::Peers::find(std::uint64_t number) {
  const auto found = connections_.find(number);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Forwarder::Peers::submit(Request& request, Respond respond) {
  const auto left = request.deadline == 0 ? 0 : request.deadline - parts_.clock.unix_ms();
  const auto steady = now();
  const auto deadline = request.deadline == 0 ? 0 : std::max<std::int64_t>(1, steady + left);
  outgoing_.submit(std::move(request), std::move(respond), deadline, steady);
  watch();
}

void Forwarder::Peers::update(TopologyPtr topology) {
  if (stopped_) return;
  const auto before = outgoing_.topology();
  // Another life of this node: whoever was connected to the last one is not connected to this one.
  if (before && before->self != topology->self) {
    while (!connections_.empty()) close(connections_.begin()->first, "this node begins anew", true);
    peers_.clear();
  }
  outgoing_.update(topology, now());
  topology = outgoing_.topology();
  table_version_->store(topology->placement.version(), std::memory_order_relaxed);
  std::vector<std::uint64_t> gone;
  if (before && before->self == topology->self)
    for (const auto& [name, member] : before->members)
      if (const auto peer = peers_.find(name); peer != peers_.end() && !topology->members.contains(name)) {
        if (peer->second.connection != 0) gone.push_back(peer->second.connection);
      }
  for (const auto number : gone) close(number, "it is no member any more", true);
  std::erase_if(peers_, [&](const auto& peer) {
    return peer.second.connection == 0 && !topology->members.contains(peer.first);
  });
  dial_members();
  watch();
}

void Forwarder::Peers::dial_members() {
  const auto& topology = outgoing_.topology();
  if (!topology || stopped_) return;
  for (const auto& [name, member] : topology->members) {
    if (name <= topology->self) continue;  // it makes the connection
    auto& peer = peers_[name];
    if (peer.connection != 0 || peer.dialling || now() < peer.next_dial) continue;
    peer.dialling = true;
    dial(self_->system(), self_, name, member.host(), static_cast<std::uint16_t>(member.port()));
  }
}

void Forwarder::Peers::dialled(Dialled& result) {
  const auto peer = peers_.find(result.member);
  if (peer == peers_.end() || stopped_) return;
  peer->second.dialling = false;
  peer->second.backoff = std::clamp(2 * peer->second.backoff, kFirstBackoff, kLongestBackoff);
  peer->second.next_dial = now() + peer->second.backoff;
  if (peer->second.connection != 0) return;
  const auto handle =
      result.socket ? connect_on(*self_, *result.socket, tls()) : std::optional<caf::io::connection_handle>();
  if (handle) return open(*handle, result.member);
  if (peer->second.backoff < kPatientBackoff || !refused_.insert(result.member).second) return;
  const auto& members = outgoing_.topology()->members;
  const auto member = members.find(result.member);
  spdlog::warn("node {} cannot be reached: {}; it is tried again and again",
               member == members.end() ? result.member : member->second.node(),
               result.socket ? "no TLS could be begun" : result.why);
}

void Forwarder::Peers::open(caf::io::connection_handle handle, std::string expected) {
  if (stopped_ || !outgoing_.topology()) {
    self_->close(handle);
    return;
  }
  // Whoever says nothing does not keep others out: the one that has been silent for longest makes room.
  std::vector<std::uint64_t> unknown;
  for (const auto& [number, one] : connections_)
    if (!one->link.up() && one->expected.empty()) unknown.push_back(number);
  if (unknown.size() >= kMostUnknown) close(unknown.front(), "it did not say who it is", true);
  auto connection = std::make_unique<Connection>(++last_number_, static_cast<LinkEvents&>(*this));
  connection->handle = handle;
  connection->since = connection->heard = connection->spoke = now();
  if (!expected.empty()) peers_[expected].connection = last_number_;
  connection->expected = std::move(expected);
  by_handle_[handle] = last_number_;
  auto& open = *connections_.emplace(last_number_, std::move(connection)).first->second;
  self_->configure_read(handle, caf::io::receive_policy::at_most(kRead));
  open.link.greet(hello());
  touch(open);
}

void Forwarder::Peers::received(const caf::io::new_data_msg& data) {
  const auto found = by_handle_.find(data.handle);
  if (found == by_handle_.end()) return;
  auto& connection = *connections_.at(found->second);
  const auto number = found->second;
  connection.heard = now();
  const bool fine = connection.link.receive(data.buf);
  if (connection.traffic) {
    connection.traffic->bytes_in.add(static_cast<std::int64_t>(data.buf.size()));
    connection.traffic->frames_in.add(
        static_cast<std::int64_t>(connection.link.frames_in() - connection.frames_in));
    connection.frames_in = connection.link.frames_in();
  }
  if (!fine) return close(number, connection.link.why(), connection.link.up());
  // That there is somebody is told when this connection can be found: sending may use it at once.
  if (connection.link.up() && !connection.counted) {
    connection.counted = true;
    outgoing_.linked(connection.link.peer().incarnation(), now());
  }
  watch();
}

std::string Forwarder::Peers::hello(Link& link) {
  auto& connection = *connections_.at(link.number());
  const auto& peer = link.peer();
  if (peer.cluster() != parts_.config.name())
    return fmt::format("it is of the cluster {}, this one of {}",
                       is_name(peer.cluster()) ? peer.cluster() : "?", parts_.config.name());
  if (!is_plain(peer.node()) || !is_plain(peer.incarnation())) return "its name cannot be one";
  if (peer.protocol() < Link::kProtocol)
    return fmt::format("it speaks version {} of the protocol, which is too old", peer.protocol());
  const auto& self = outgoing_.topology()->self;
  if (peer.incarnation() == self) return "it says that it is this node";
  if (!connection.expected.empty() && connection.expected != peer.incarnation())
    return "another node answers at its address";
  if (connection.expected.empty() && peer.incarnation() > self)
    return "the connection between the two is the other side's to accept";
  // The other side made a new one: it has given up the old one.
  auto& known = peers_[peer.incarnation()];
  if (known.connection != 0 && known.connection != link.number())
    close(known.connection, "there is a newer connection", true);
  auto& now_known = peers_[peer.incarnation()];
  now_known.connection = link.number();
  now_known.backoff = 0;
  refused_.erase(peer.incarnation());
  connection.traffic = traffic_of(peer.node());
  return "";
}

void Forwarder::Peers::close(std::uint64_t number, const std::string& why, bool at_once) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  const auto connection = std::move(found->second);
  connections_.erase(found);
  by_handle_.erase(connection->handle);
  self_->close(connection->handle);
  // Or else it would stay until the other side reads what is left.
  if (at_once) ::shutdown(static_cast<int>(connection->handle.id()), SHUT_RDWR);
  const bool was_up = connection->link.up();
  const auto& name = was_up ? connection->link.peer().incarnation() : connection->expected;
  const auto peer = peers_.find(name);
  const bool early = peer != peers_.end() && peer->second.backoff < kPatientBackoff;
  if (was_up)
    spdlog::info("connection to node {} ended: {}", connection->link.peer().node(), why);
  else if (!early && refused_.size() < kMostNodes && refused_.insert(name + why).second)
    spdlog::warn("a connection with {} was not made: {}", name.empty() ? "another node" : "member " + name,
                 why);
  if (peer == peers_.end() || peer->second.connection != number) return;
  peer->second.connection = 0;
  if (connection->counted) outgoing_.unlinked(name, now());
  watch();
}

void Forwarder::Peers::requested(Link& link, v1::PeerRequest& request) {
  auto& from = *connections_.at(link.number());
  const auto refuse = [&](const Error& error) {
    link.add(reply_frame(request.id(), error, version()));
    touch(from);
  };
  if (stopped_) return refuse(not_here(request.shard()));
  if (from.served >= parts_.config.peer_credit()) return refuse(too_busy());
  if (request.to().empty()) return serve_question(from, request);
  const auto& topology = *outgoing_.topology();
  const auto shard = static_cast<int>(request.shard());
  if (request.shard() >= kShards || shard >= topology.placement.shards_size())
    return refuse(not_here(request.shard()));
  const auto& place = topology.placement.shards(shard);
  if (place.owner() != topology.self || place.epoch() != request.epoch())
    return refuse(not_here(request.shard()));
  auto wanted = from_wire(parts_.kinds, request, parts_.clock.unix_ms());
  if (!wanted) return refuse(wanted.error());
  ++from.served;
  parts_.ask(std::move(*wanted), respond_to(from, request.id()));
}

/// Whoever answers serialises the answer, too, on his thread.
Respond Forwarder::Peers::respond_to(Connection& from, std::uint64_t id) {
  return [actor = caf::actor(self_), connection = from.link.number(), id,
          version = table_version_](const Answer& answer) {
    auto frame = reply_frame(id, answer, version->load(std::memory_order_relaxed));
    if (frame.size() > Link::kMostFrame) frame = reply_frame(id, too_large(frame.size()), 0);
    caf::anon_send(actor, Served{connection, std::move(frame)});
  };
}

void Forwarder::Peers::serve_question(Connection& from, v1::PeerRequest& request) {
  auto question = message_from(request.command());
  ++from.served;
  const auto respond = respond_to(from, request.id());
  if (!question) return respond(question.error());
  if (!answerer)
    return respond(Error{Code::unavailable, "unavailable", "This node answers no questions yet; retry.", ""});
  answerer(std::move(*question), respond);
}

void Forwarder::Peers::replied(Link& link, v1::PeerReply& reply) {
  (void)link;
  outgoing_.answered(reply.id(), from_wire(reply), now());
}

std::optional<Error> Forwarder::Peers::send(const std::string& member, std::uint64_t id,
                                            const Request& request, const Stamp& stamp) {
  auto& connection = *connections_.at(peers_.at(member).connection);
  const auto frame = request_frame(id, request, stamp);
  if (!connection.link.add(frame)) return too_large(frame.size());
  touch(connection);
  return std::nullopt;
}

void Forwarder::Peers::serve(std::uint64_t id, Request request) {
  parts_.ask(std::move(request), [actor = caf::actor(self_), id](Answer answer) {
    caf::anon_send(actor, Home{id, std::move(answer)});
  });
}

/// What is ready when its turn comes goes out together: the turn comes after the mail that is there already.
void Forwarder::Peers::touch(Connection& connection) {
  connection.dirty = true;
  if (std::exchange(flushing_, true)) return;
  self_->send(self_, flush_atom::value);
}

void Forwarder::Peers::flush() {
  flushing_ = false;
  std::vector<std::uint64_t> stuck;
  for (const auto& [number, connection] : connections_) {
    if (!std::exchange(connection->dirty, false)) continue;
    auto& out = self_->wr_buf(connection->handle);
    const auto before = out.size();
    connection->link.take(out);
    if (connection->traffic) {
      connection->traffic->bytes_out.add(static_cast<std::int64_t>(out.size() - before));
      connection->traffic->frames_out.add(
          static_cast<std::int64_t>(connection->link.frames_out() - connection->frames_out));
      connection->frames_out = connection->link.frames_out();
    }
    connection->spoke = now();
    if (out.size() > kMostUnsent) stuck.push_back(number);
    self_->flush(connection->handle);
  }
  for (const auto number : stuck) close(number, "it does not read what it is sent", true);
}

/// While something waits, time matters.
void Forwarder::Peers::watch() {
  if (!outgoing_.waiting() || std::exchange(ticking_fast_, true)) return;
  self_->delayed_send(self_, kSoon, soon_atom::value);
}

void Forwarder::Peers::tick() {
  const auto at = now();
  // After this process was stopped for a while, what others said in the meantime is read first.
  const bool paused = at - ticked_ > kSilence / 4;
  ticked_ = at;
  std::vector<std::pair<std::uint64_t, std::string>> over;
  for (const auto& [number, connection] : connections_) {
    if (paused) connection->heard = std::max(connection->heard, at - kSilence / 2);
    const auto& link = connection->link;
    if (at - connection->heard > kSilence)
      over.emplace_back(number, "it was silent for too long");
    else if (!link.up() && at - connection->since > kSilence)
      over.emplace_back(number, "it did not say who it is");
    else if (link.up() && at - connection->since > kStranger &&
             !outgoing_.topology()->members.contains(link.peer().incarnation()))
      over.emplace_back(number, "it is no member");
    else if (link.up() && at - connection->spoke > kBeat) {
      connection->link.beat();
      touch(*connection);
    }
  }
  for (const auto& [number, why] : over) close(number, why, true);
  outgoing_.tick(at);
  dial_members();
  watch();
  if (!stopped_) self_->delayed_send(self_, kTick, tick_atom::value);
}

void Forwarder::Peers::stop() {
  if (std::exchange(stopped_, true)) return;
  outgoing_.stop();
  while (!connections_.empty()) close(connections_.begin()->first, "this node stops", false);
  self_->close_all();
}

std::shared_ptr<Forwarder::Peers::Traffic> Forwarder::Peers::traffic_of(const std::string& node) {
  const auto& members = outgoing_.topology()->members;
  const bool known = std::any_of(members.begin(), members.end(),
                                 [&](const auto& member) { return member.second.node() == node; });
  if (const auto found = traffic_.find(node); found != traffic_.end()) return found->second;
  if (!known || traffic_.size() >= kMostNodes) return nullptr;
  auto traffic = std::make_shared<Traffic>();
  const auto count = [&](const char* name, const char* help, const char* direction, Counter Traffic::*which) {
    parts_.metrics.counter(name, help,
                           [traffic, which] { return static_cast<double>((*traffic.*which).value()); },
                           {{"peer", node}, {"direction", direction}});
  };
  count("cx_peer_frames_total", "Frames between this node and another.", "in", &Traffic::frames_in);
  count("cx_peer_frames_total", "Frames between this node and another.", "out", &Traffic::frames_out);
  count("cx_peer_bytes_total", "Bytes between this node and another, before TLS.", "in", &Traffic::bytes_in);
  count("cx_peer_bytes_total", "Bytes between this node and another, before TLS.", "out",
        &Traffic::bytes_out);
  traffic_.emplace(node, traffic);
  return traffic;
}

}  // namespace cx::cluster
