#include "tools/campaignctl/io.hpp"

#include <cerrno>
#include <cstdlib>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>

namespace cx::ctl {

File::~File() {
  if (fd_ >= 0) close(fd_);
}

std::string error_text(int error) {
  return std::generic_category().message(error);
}

Outcome<std::string> read_all(int fd, const std::string& name, std::size_t limit) {
  std::string text;
  char block[1 << 16];
  while (true) {
    const auto got = read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return usage(fmt::format("cannot read {}: {}", name, error_text(errno)));
    if (got == 0) return text;
    text.append(block, static_cast<std::size_t>(got));
    if (text.size() > limit) return usage(fmt::format("{} is longer than {} MiB", name, limit >> 20));
  }
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto put = write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

void put(std::string_view text) {
  if (write_all(STDOUT_FILENO, text)) return;
  if (errno == EPIPE) std::_Exit(static_cast<int>(Exit::done));
  say(fmt::format("campaignctl: cannot write the output: {}", error_text(errno)));
  std::_Exit(static_cast<int>(Exit::server_failed));
}

void say(std::string_view line) {
  // Nobody is left to tell when this fails.
  static_cast<void>(write_all(STDERR_FILENO, std::string(line) + "\n"));
}

std::pair<std::size_t, std::size_t> terminal_size(int fd) {
  winsize size{};
  if (isatty(fd) == 0) return {0, 0};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {80, 24};
  return {size.ws_col, size.ws_row};
}

}  // namespace cx::ctl
