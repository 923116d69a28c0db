#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>

#include "runtime/error.hpp"

namespace cx::vendor_sim {

/// Opens `acceptor` at an address and a port, 0 for a free one, and returns the port. "cannot-start" says
/// what stands in the way; `flag` is what chooses another port there.
Result<std::uint16_t> listen(boost::asio::ip::tcp::acceptor& acceptor, const std::string& host,
                             std::uint16_t port, const char* flag);

}  // namespace cx::vendor_sim
