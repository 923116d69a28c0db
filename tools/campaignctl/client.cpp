#include "tools/campaignctl/client.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <boost/url.hpp>
#include <fmt/core.h>
#include <memory>
#include <optional>
#include <vector>

#include "tools/version.hpp"

namespace cx::ctl {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using Steady = std::chrono::steady_clock;

struct Target {
  std::string host, port, authority, prefix;
  bool tls = false;
};

Outcome<Target> parse_url(const Setting& server) {
  const auto url = boost::urls::parse_uri(server.value);
  const auto refuse = [&](const char* why) {
    return usage(fmt::format("the server {} ({}) {}; write http://host:port or https://host:port",
                             server.value, server.origin, why));
  };
  if (!url || url->host().empty()) return refuse("is not a URL");
  if (url->has_port() && url->port_number() == 0)
    return refuse("has no port from 1 to 65535 behind the colon");
  const bool tls = url->scheme() == "https";
  if (!tls && url->scheme() != "http") return refuse("is not reachable: only http and https are spoken");
  if (url->has_userinfo()) return refuse("names a user, and a URL is no place for secrets");
  if (url->has_query() || url->has_fragment()) return refuse("has more than a path behind the host");
  std::string prefix(url->encoded_path());
  while (prefix.ends_with('/')) prefix.pop_back();
  return Target{url->host_address(),
                url->has_port() ? std::string(url->port())
                : tls           ? "443"
                                : "80",
                std::string(url->encoded_host_and_port()), prefix, tls};
}

struct Exchange {
  asio::io_context io{1};
  std::optional<asio::ssl::context> tls;  // only where it is needed: it costs milliseconds
  const char* stage = "looking the name up";
  bool resolved = false;
  http::response<http::string_body> response;
  double ms = 0;
  bool done = false;
  std::exception_ptr error;
};

http::request<http::string_body> message_of(const Target& target, const Request& request) {
  http::request<http::string_body> message;
  message.version(11);
  message.method_string(request.method());
  message.target(target.prefix + request.path);
  message.set(http::field::host, target.authority);
  message.set(http::field::user_agent, fmt::format("campaignctl/{}", kVersion));
  message.set(http::field::accept, "application/json, application/problem+json, application/x-ndjson");
  message.set(http::field::connection, "close");
  if (!request.content_type.empty()) message.set(http::field::content_type, request.content_type);
  for (const auto& [name, value] : request.fields) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

template <class Stream>
asio::awaitable<void> ask(Exchange& x, Stream& stream, const Target& target, const Request& request) {
  x.stage = "waiting for the answer";
  const auto message = message_of(target, request);
  const auto sent = Steady::now();
  // A server that refuses a body early answers and closes while we still write: the answer says more than the
  // error.
  boost::system::error_code write_error;
  co_await http::async_write(stream, message, asio::redirect_error(asio::use_awaitable, write_error));
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxBody);
  co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
  x.ms = std::chrono::duration<double, std::milli>(Steady::now() - sent).count();
  x.response = parser.release();
}

asio::awaitable<void> talk(Exchange& x, const Target& target, const Request& request) {
  tcp::resolver resolver(x.io);
  const auto addresses = co_await resolver.async_resolve(target.host, target.port, asio::use_awaitable);
  x.resolved = true;
  x.stage = "connecting";
  if (!target.tls) {
    boost::beast::tcp_stream stream(x.io);
    co_await stream.async_connect(addresses, asio::use_awaitable);
    co_await ask(x, stream, target, request);
    co_return;
  }
  asio::ssl::stream<boost::beast::tcp_stream> stream(x.io, *x.tls);
  co_await stream.next_layer().async_connect(addresses, asio::use_awaitable);
  x.stage = "agreeing on TLS";
  // An address has no name to send (RFC 6066, section 3).
  boost::system::error_code not_an_address;
  asio::ip::make_address(target.host, not_an_address);
  if (not_an_address) SSL_set_tlsext_host_name(stream.native_handle(), target.host.c_str());
  stream.set_verify_callback(asio::ssl::host_name_verification(target.host));
  co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  co_await ask(x, stream, target, request);
}

/// Whom to trust, and from which version on.
Outcome<void> set_up(asio::ssl::context& tls, const std::string& ca_file) {
  boost::system::error_code error;
  tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  tls.set_verify_mode(asio::ssl::verify_peer);
  if (ca_file.empty())
    tls.set_default_verify_paths(error);
  else
    tls.load_verify_file(ca_file, error);
  if (!error) return {};
  return usage(fmt::format("cannot read the certificates in {}: {}; --ca-file takes a file in PEM",
                           ca_file.empty() ? "the system's folder" : ca_file, error.message()));
}

/// The server's problem document when it sent one, else one made of the status line.
Failure problem(const http::response<http::string_body>& response, const std::string& url) {
  Failure failure{exit_for(response.result_int()), "", "", "", response.result_int()};
  std::string reason(response.reason());
  if (reason.empty()) reason = http::obsolete_reason(response.result());
  boost::system::error_code error;
  const auto parsed = boost::json::parse(response.body(), error);
  const auto* document = !error ? parsed.if_object() : nullptr;
  const auto* detail = document != nullptr ? document->if_contains("detail") : nullptr;
  if (detail != nullptr && detail->is_string()) {
    failure.document = boost::json::serialize(*document);
    failure.detail = fmt::format("{}: {}", reason, detail->as_string().c_str());
    const auto* pointer = document->if_contains("pointer");
    if (pointer != nullptr && pointer->is_string() && !pointer->as_string().empty())
      failure.detail += fmt::format(" (at {})", pointer->as_string().c_str());
  } else {
    failure.detail = fmt::format("{} answered {} {}; is it a campaignd?", url, response.result_int(), reason);
    failure.document = boost::json::serialize(boost::json::object{{"type", "about:blank"},
                                                                  {"title", reason},
                                                                  {"status", response.result_int()},
                                                                  {"detail", failure.detail}});
  }
  if (const auto after = response.find(http::field::retry_after); after != response.end())
    failure.detail += fmt::format("; retry after {} s", std::string(after->value()));
  return failure;
}

std::string where(const Setting& server, const std::string& url) {
  return server.origin == "default" ? url : fmt::format("{} ({})", url, server.origin);
}

}  // namespace

Outcome<void> check_url(const Setting& server) {
  if (const auto target = parse_url(server); !target) return target.error();
  return {};
}

bool is_loopback(const std::string& url) {
  const auto target = parse_url({url, ""});
  if (!target) return false;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(target->host, error);
  return error ? target->host == "localhost" : address.is_loopback();
}

Outcome<Response> exchange(const Setting& server, const Request& request, std::chrono::milliseconds timeout,
                           const std::string& ca_file) {
  const auto target = parse_url(server);
  if (!target) return target.error();
  const std::string url = server.value + request.path;

  auto x = std::make_unique<Exchange>();
  if (target->tls) {
    x->tls.emplace(asio::ssl::context::tls_client);
    if (const auto ready = set_up(*x->tls, ca_file); !ready) return ready.error();
  }
  asio::co_spawn(x->io, talk(*x, *target, request), [&x = *x](const std::exception_ptr& error) {
    x.error = error;
    x.done = true;
  });
  x->io.run_for(timeout);

  if (!x->done) {
    const Failure failure{
        Exit::unreachable, "timed-out",
        fmt::format("no answer from {} within {} ms, while {}; try again, with --timeout if it needs longer",
                    where(server, url), timeout.count(), x->stage),
        ""};
    // A name lookup cannot be interrupted, and the end of its context would wait for it.
    static auto& abandoned = *new std::vector<std::unique_ptr<Exchange>>;
    if (!x->resolved) abandoned.push_back(std::move(x));
    return failure;
  }
  if (x->error) {
    try {
      std::rethrow_exception(x->error);
    } catch (const boost::system::system_error& e) {
      if (e.code() == http::error::body_limit)
        return Failure{Exit::server_failed, "answer-too-large",
                       fmt::format("the answer of {} is longer than {} MiB", url, kMaxBody >> 20), ""};
      if (e.code().category() == http::make_error_code(http::error::bad_version).category() &&
          e.code() != http::error::end_of_stream && e.code() != http::error::partial_message)
        return Failure{Exit::server_failed, "not-http",
                       fmt::format("{} does not answer in HTTP ({}); is it a campaignd?", where(server, url),
                                   e.code().message()),
                       ""};
      if (e.code().category() == asio::error::get_ssl_category())
        return Failure{
            Exit::unreachable, "tls-failed",
            fmt::format("cannot trust or talk to {}: {}; name who signed its certificate with --ca-file",
                        where(server, url), e.code().message()),
            ""};
      return Failure{
          Exit::unreachable, "unreachable",
          fmt::format(
              "cannot reach {}: {} while {}; start a node with tools/run, or name another with --server",
              where(server, url), e.code().message(), x->stage),
          ""};
    }
  }
  if (x->response.result_int() / 100 != 2) return problem(x->response, url);

  Response response{x->response.result_int(), std::move(x->response.body()), {}, x->ms};
  for (const auto& field : x->response) {
    std::string name(field.name_string());
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    response.fields.emplace(std::move(name), field.value());
  }
  return response;
}

}  // namespace cx::ctl
