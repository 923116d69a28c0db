#include "tools/vendor-sim/listen.hpp"

#include <fmt/format.h>

namespace cx::vendor_sim {

Result<std::uint16_t> listen(boost::asio::ip::tcp::acceptor& acceptor, const std::string& host,
                             std::uint16_t port, const char* flag) {
  namespace asio = boost::asio;
  boost::system::error_code error;
  const asio::ip::tcp::endpoint at(asio::ip::make_address(host, error), port);
  if (!error) acceptor.open(at.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(at, error);
  if (!error) acceptor.listen(4096, error);
  if (!error) return acceptor.local_endpoint().port();
  return Error{Code::unavailable, "cannot-start",
               fmt::format("{}:{}: {}; choose another --host or {}.", host, port, error.message(), flag), ""};
}

}  // namespace cx::vendor_sim
