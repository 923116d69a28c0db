#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

/// An open file descriptor and its end.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();
  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_;
};

/// The text of an errno.
std::string error_text(int error);

/// Everything that `fd` gives, or a failure that calls it `name`; more than `limit` bytes are one.
Outcome<std::string> read_all(int fd, const std::string& name, std::size_t limit);

/// False, with errno, when not everything could be written.
bool write_all(int fd, std::string_view text);

/// Writes data to stdout. Ends the process: quietly with 0 when the reader has gone (`| head`), with a
/// message and 1 when the data cannot be kept (disk full).
void put(std::string_view text);

/// Writes a line for people to stderr.
void say(std::string_view line);

/// The secret in a file, or on stdin for "-": its text without the newline at its end. A failure for a file
/// that others may read, an empty one, and one that is more than a line of text or longer than 16 KiB.
Outcome<std::string> read_secret_file(const std::string& name);

/// A line that somebody types at the terminal of stdin, which does not show it.
Outcome<std::string> ask_secret(const std::string& prompt);

/// Replaces a file by one of mode 0600, whole or not at all; its folder is made.
Outcome<void> write_private(const std::string& path, const std::string& text);

/// Replaces a file by one of mode 0644, whole or not at all.
Outcome<void> write_public(const std::string& path, std::string_view bytes);

/// Columns and rows of the terminal at `fd`; zero where it is none.
std::pair<std::size_t, std::size_t> terminal_size(int fd);

}  // namespace cx::ctl
