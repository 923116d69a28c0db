#include "runtime/cluster/forwarder.hpp"

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "runtime/cluster/forwarder_messages.hpp"
#include "runtime/cluster/peers.hpp"

namespace cx::cluster {

Forwarder::Forwarder(Parts parts) : system_(parts.system), peers_(std::make_shared<Peers>(std::move(parts))) {
  actor_ = system_.middleman().spawn_broker<caf::hidden>(
      [peers = peers_](caf::io::broker* self) { return peers->run(self); });
}

Forwarder::~Forwarder() {
  stop();
  caf::anon_send_exit(actor_, caf::exit_reason::user_shutdown);
  caf::scoped_actor self{system_};
  self->wait_for(actor_);  // it uses what comes after us
}

Result<std::uint16_t> Forwarder::listen() {
  const auto& config = peers_->parts().config;
  if (peers_->tls()) {
    if (config.tls().key().empty() || config.tls().client_ca().empty())
      return Error{Code::invalid_argument, "cluster-tls",
                   "cluster.tls.certificate is set without key or client_ca: nodes show each other "
                   "certificates of one authority, so set all three.",
                   "/cluster/tls"};
    if (auto error = check_tls(system_)) return std::move(*error);
  } else if (!config.host().starts_with("127.") && config.host() != "localhost" && config.host() != "::1") {
    spdlog::warn("cluster.tls is not set: whoever reaches {} can command this node", config.host());
  }
  auto port = static_cast<std::uint16_t>(config.port());
  auto acceptor = listen_on(config.host(), port);
  if (!acceptor) return acceptor.error();
  caf::anon_send(actor_, std::move(*acceptor));
  return port;
}

void Forwarder::update(TopologyPtr topology) {
  caf::anon_send(actor_, std::move(topology));
}

void Forwarder::ask_node(const std::string& incarnation, MessagePtr question,
                         std::chrono::milliseconds patience, Respond respond) {
  caf::anon_send(actor_, Question{incarnation, std::move(question), patience.count(), std::move(respond)});
}

void Forwarder::on_question(Answerer answerer) {
  peers_->answerer = std::move(answerer);
}

void Forwarder::stop() {
  const auto done = std::make_shared<std::promise<void>>();
  const auto stopped = done->get_future();
  caf::anon_send(actor_, Stop{done});
  stopped.wait();
}

}  // namespace cx::cluster
