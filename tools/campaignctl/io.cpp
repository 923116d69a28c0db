#include "tools/campaignctl/io.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <system_error>
#include <termios.h>
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

Outcome<std::string> read_secret_file(const std::string& name) {
  const File file(name == "-" ? dup(STDIN_FILENO) : open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return usage(fmt::format("cannot open {}: {}", name, error_text(errno)));
  struct stat status {};
  fstat(file.fd(), &status);
  // What others own, a mounted secret, is not ours to change.
  if (name != "-" && S_ISREG(status.st_mode) && status.st_uid == geteuid() && (status.st_mode & 077) != 0)
    return usage(fmt::format("{} has mode {:04o} and may be read or changed by others; run: chmod 600 '{}'",
                             name, status.st_mode & 07777, name));
  auto text = read_all(file.fd(), name == "-" ? "standard input" : name, 16 << 10);
  if (!text) return text;
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  if (text->empty()) return usage(fmt::format("{} is empty; it has to hold a secret", name));
  for (const char c : *text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return usage(fmt::format("{} is not one line of text; it has to hold a secret and nothing else", name));
  return text;
}

Outcome<std::string> ask_secret(const std::string& prompt) {
  termios before{};
  if (tcgetattr(STDIN_FILENO, &before) != 0) return usage("there is no terminal to ask at");
  termios silent = before;
  // Ctrl-C is read as a character: a signal would end the process with the echo still off.
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG | ICANON);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  static_cast<void>(write_all(STDERR_FILENO, prompt));
  std::string line;
  char c = 0;
  bool interrupted = false;
  while (!interrupted && read(STDIN_FILENO, &c, 1) == 1 && c != '\n' && c != '\r' && c != 4) {
    interrupted = c == 3;
    if (c != 0x7f && c != 8)
      line += c;
    else if (!line.empty())
      line.pop_back();
  }
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  static_cast<void>(write_all(STDERR_FILENO, "\n"));
  if (interrupted) return Failure{Exit::interrupted, "interrupted", "nothing was done", ""};
  return line;
}

namespace {

/// Whole or not at all; `type` is that of a failure.
Outcome<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode, const char* type) {
  const auto fail = [&] {
    return Failure{Exit::server_failed, type, fmt::format("cannot write {}: {}", path, error_text(errno)),
                   ""};
  };
  std::string temporary = path + ".XXXXXX";
  const File file(mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) return fail();
  if (!write_all(file.fd(), bytes) || fchmod(file.fd(), mode) != 0 || fsync(file.fd()) != 0 ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    const auto failure = fail();
    unlink(temporary.c_str());
    return failure;
  }
  return {};
}

}  // namespace

Outcome<void> write_private(const std::string& path, const std::string& text) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // whatever is wrong, opening the file says it better
  if (std::filesystem::create_directories(folder, ignored)) chmod(folder.c_str(), 0700);
  return replace_file(path, text, 0600, "config-not-written");
}

Outcome<void> write_public(const std::string& path, std::string_view bytes) {
  return replace_file(path, bytes, 0644, "not-written");
}

std::pair<std::size_t, std::size_t> terminal_size(int fd) {
  winsize size{};
  if (isatty(fd) == 0) return {0, 0};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {80, 24};
  return {size.ws_col, size.ws_row};
}

}  // namespace cx::ctl
