#pragma once

#include "runtime/nats/jetstream.hpp"

namespace cx::nats {

/// What JetStream::follow does; each call to the servers may take `timeout`.
std::unique_ptr<Follower> make_follower(Connection& connection, std::chrono::milliseconds timeout,
                                        std::string stream, std::string subject, std::uint64_t from,
                                        std::function<void(Stored&&)> use, std::function<void()> caught_up);

}  // namespace cx::nats
