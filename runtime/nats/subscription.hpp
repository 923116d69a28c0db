#pragma once

#include <nats/nats.h>
#include <shared_mutex>

#include "runtime/nats/connection.hpp"

namespace cx::nats {

/// What Connection::subscribe does; with `pending` 0 nothing is ever dropped. `flushing` is the connection's,
/// and held while a subscription drains: a flush of the library's that gives up at the wrong moment makes it
/// forget another that is under way (3.4, one record of the pong for both), and a drain hangs on its flush.
Result<std::unique_ptr<Subscription>> make_subscription(natsConnection* connection,
                                                        std::shared_mutex& flushing,
                                                        const std::string& subject, const std::string& queue,
                                                        Connection::Handler handler, std::size_t pending,
                                                        std::function<void(std::uint64_t)> dropped);

}  // namespace cx::nats
