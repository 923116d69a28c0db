#pragma once

#include <csignal>
#include <cstdio>
#include <doctest/doctest.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "gateways/auth/fetch.hpp"

namespace cx::auth::test {

/// tests/e2e/oidc_sim.py, running.
class Simulator {
 public:
  Simulator() {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], 1);
      ::close(ends[0]);
      ::execlp("/usr/bin/python3", "python3", "-B", CX_OIDC_SIM, nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
    REQUIRE(std::fscanf(out_, "port %d", &port_) == 1);
  }
  ~Simulator() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    std::fclose(out_);
  }
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// "mode=good&now=0"
  void set(const std::string& how) const {
    const auto answer = fetch_by_curl({url() + "/set?" + how, "x=y"});
    REQUIRE(answer);
    REQUIRE(answer->status == 200);
  }

 private:
  pid_t child_ = -1;
  std::FILE* out_ = nullptr;
  int port_ = 0;
};

}  // namespace cx::auth::test
