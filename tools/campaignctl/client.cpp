#include "tools/campaignctl/client.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
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
};

Outcome<Target> parse_url(const Setting& server) {
  const auto url = boost::urls::parse_uri(server.value);
  const auto refuse = [&](const char* why) {
    return usage(
        fmt::format("the server {} ({}) {}; write http://host:port", server.value, server.origin, why));
  };
  if (!url || url->host().empty()) return refuse("is not a URL");
  if (url->has_port() && url->port_number() == 0)
    return refuse("has no port from 1 to 65535 behind the colon");
  if (url->scheme() != "http") return refuse("is not reachable: only http is spoken");
  if (url->has_userinfo()) return refuse("names a user, and a URL is no place for secrets");
  if (url->has_query() || url->has_fragment()) return refuse("has more than a path behind the host");
  std::string prefix(url->encoded_path());
  while (prefix.ends_with('/')) prefix.pop_back();
  return Target{url->host_address(), url->has_port() ? std::string(url->port()) : "80",
                std::string(url->encoded_host_and_port()), prefix};
}

struct Exchange {
  asio::io_context io{1};
  const char* stage = "looking the name up";
  bool resolved = false;
  http::response<http::string_body> response;
  double ms = 0;
  bool done = false;
  std::exception_ptr error;
};

asio::awaitable<void> talk(Exchange& x, const Target& target, const Request& request) {
  tcp::resolver resolver(x.io);
  const auto addresses = co_await resolver.async_resolve(target.host, target.port, asio::use_awaitable);
  x.resolved = true;
  x.stage = "connecting";
  boost::beast::tcp_stream stream(x.io);
  co_await stream.async_connect(addresses, asio::use_awaitable);
  x.stage = "waiting for the answer";

  const bool has_body = !request.content_type.empty();
  http::request<http::string_body> message(has_body ? http::verb::post : http::verb::get,
                                           target.prefix + request.path, 11);
  message.set(http::field::host, target.authority);
  message.set(http::field::user_agent, fmt::format("campaignctl/{}", kVersion));
  message.set(http::field::accept, "application/json, application/problem+json");
  message.set(http::field::connection, "close");
  if (has_body) message.set(http::field::content_type, request.content_type);
  message.body() = request.body;
  message.prepare_payload();

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

/// The server's problem document when it sent one, else one made of the status line.
Failure problem(const http::response<http::string_body>& response, const std::string& url) {
  Failure failure{exit_for(response.result_int()), "", "", ""};
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

Outcome<Response> exchange(const Setting& server, const Request& request, std::chrono::milliseconds timeout) {
  const auto target = parse_url(server);
  if (!target) return target.error();
  const std::string url = server.value + request.path;

  auto x = std::make_unique<Exchange>();
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
