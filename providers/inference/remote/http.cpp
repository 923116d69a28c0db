#include "providers/inference/remote/http.hpp"

#include <algorithm>
#include <charconv>
#include <curl/curl.h>
#include <fmt/format.h>
#include <stdexcept>

#include "providers/inference/remote/remote.hpp"
#include "runtime/net/request.hpp"

namespace cx::inference::remote {
namespace {

constexpr std::string_view kJsonSize = "inference-header-content-length:";

struct Incoming {
  HttpAnswer answer;
  std::size_t most = 0;
  bool too_long = false;
};

std::size_t take_body(char* bytes, std::size_t, std::size_t n, void* to) {
  auto& in = *static_cast<Incoming*>(to);
  in.too_long = in.answer.body.size() + n > in.most;
  if (in.too_long) return 0;  // ends the transfer
  in.answer.body.append(bytes, n);
  return n;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t n, void* to) {
  std::string_view line(bytes, n);
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const bool named =
      line.size() >= kJsonSize.size() && std::equal(kJsonSize.begin(), kJsonSize.end(), line.begin(),
                                                    [&](char a, char b) { return a == lower(b); });
  if (!named) return n;
  line.remove_prefix(kJsonSize.size());
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  std::size_t size = 0;
  if (std::from_chars(line.data(), line.data() + line.size(), size).ec == std::errc{})
    static_cast<Incoming*>(to)->answer.json_size = size;
  return n;
}

}  // namespace

struct HttpSession::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

HttpSession::HttpSession(std::string_view protocol, std::string ca_file)
    : protocol_(protocol), ca_file_(std::move(ca_file)) {
  static const auto ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  handle_ = std::make_unique<Handle>();
  if (ready != CURLE_OK || handle_->curl == nullptr) throw std::runtime_error("libcurl does not start");
}
HttpSession::~HttpSession() = default;

Result<HttpAnswer> HttpSession::send(const Request& request) {
  auto* const curl = handle_->curl;
  curl_easy_reset(curl);  // options only: the connection stays
  net::HeaderLines header;
  for (const auto& line : request.headers) header.add(line);
  header.add("Expect:");  // no 100-continue
  Incoming in{{}, request.most, false};
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  net::set_common(curl, request.url, header, request.timeout, ca_file_);
  if (request.body) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    set(CURLOPT_POSTFIELDS, request.body->data());
  }
  set(CURLOPT_WRITEFUNCTION, take_body);
  set(CURLOPT_WRITEDATA, &in);
  set(CURLOPT_HEADERFUNCTION, take_header);
  set(CURLOPT_HEADERDATA, &in);

  const auto code = curl_easy_perform(curl);
  if (in.too_long) return malformed(protocol_, fmt::format("is longer than {} bytes", request.most));
  if (code == CURLE_OPERATION_TIMEDOUT)
    return Error{Code::deadline_exceeded, "remote-timeout",
                 fmt::format("{}: no complete answer within {} ms.", protocol_, request.timeout.count()), ""};
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK && status != 0)
    return malformed(protocol_, fmt::format("broke off after {} bytes ({})", in.answer.body.size(),
                                            curl_easy_strerror(code)));
  if (code != CURLE_OK)
    return Error{Code::unavailable, "remote-unreachable",
                 fmt::format("{}: {} gave no answer ({}).", protocol_, request.url, curl_easy_strerror(code)),
                 ""};
  if (status != 200)
    return Error{
        Code::unavailable, "remote-refused",
        fmt::format("{}: {} answered {}: {}", protocol_, request.url, status, excerpt(in.answer.body)), ""};
  return std::move(in.answer);
}

}  // namespace cx::inference::remote
