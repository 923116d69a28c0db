#include "tests/providers/channels/vendor.hpp"

#include <curl/curl.h>

namespace cx::channels::test {

std::string Vendor::get(const std::string& path) {
  std::string body;
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, (url_ + path).c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(
      curl, CURLOPT_WRITEFUNCTION, +[](char* bytes, std::size_t, std::size_t n, void* to) {
        static_cast<std::string*>(to)->append(bytes, n);
        return n;
      });
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  REQUIRE(curl_easy_perform(curl) == CURLE_OK);
  curl_easy_cleanup(curl);
  return body;
}

}  // namespace cx::channels::test
