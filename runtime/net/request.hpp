#pragma once

#include <chrono>
#include <memory>
#include <string>

struct curl_slist;

// What all requests that we make by libcurl have in common, whoever makes them.

namespace cx::net {

/// The header of a request as libcurl takes it. Outlives the transfer.
class HeaderLines {
 public:
  /// "Name: value"; "Name:" keeps libcurl from sending its own. False, and nothing is added, for what would
  /// be more than a line.
  bool add(const std::string& line);
  curl_slist* get() const { return lines_.get(); }

 private:
  struct Free {
    void operator()(curl_slist* lines) const;
  };
  std::unique_ptr<curl_slist, Free> lines_;
};

/// Sets up a handle (a CURL*, whose options are the default ones) for http or https over HTTP/1.1: no proxy,
/// no redirect, no signal, certificates verified by the authorities in `ca_file` (PEM; empty: the system's).
/// `timeout` is of all of the request, at least 1 ms.
void set_common(void* curl, const std::string& url, const HeaderLines& header,
                std::chrono::milliseconds timeout, const std::string& ca_file = {});

}  // namespace cx::net
