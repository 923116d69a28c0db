#include "runtime/net/request.hpp"

#include <algorithm>
#include <curl/curl.h>
#include <new>
#include <string_view>

namespace cx::net {

void HeaderLines::Free::operator()(curl_slist* lines) const {
  curl_slist_free_all(lines);
}

bool HeaderLines::add(const std::string& line) {
  if (line.find_first_of(std::string_view("\r\n\0", 3)) != line.npos) return false;
  auto* longer = curl_slist_append(lines_.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(lines_.release());
  lines_.reset(longer);
  return true;
}

void set_common(void* curl, const std::string& url, const HeaderLines& header,
                std::chrono::milliseconds timeout, const std::string& ca_file) {
  const auto set = [curl](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROXY, "");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TIMEOUT_MS, std::max<long>(1, static_cast<long>(timeout.count())));
  set(CURLOPT_USERAGENT, "campaign-express");
  set(CURLOPT_HTTPHEADER, header.get());
  if (!ca_file.empty()) set(CURLOPT_CAINFO, ca_file.c_str());
}

}  // namespace cx::net
