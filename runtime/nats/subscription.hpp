#pragma once

#include <nats/nats.h>

#include "runtime/nats/connection.hpp"

namespace cx::nats {

/// What Connection::subscribe does; with `pending` 0 nothing is ever dropped.
Result<std::unique_ptr<Subscription>> make_subscription(natsConnection* connection,
                                                        const std::string& subject, const std::string& queue,
                                                        Connection::Handler handler, std::size_t pending,
                                                        std::function<void(std::uint64_t)> dropped);

}  // namespace cx::nats
