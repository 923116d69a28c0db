#include "gateways/auth/files.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

namespace cx::auth {
namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

Error failed(const std::string& path, const char* what) {
  return {Code::unavailable, "storage-failed",
          fmt::format("{} cannot be {}: {}.", path, what, std::strerror(errno)), ""};
}

}  // namespace

std::optional<Error> write_secret(const std::string& path, std::string_view bytes) {
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.fd() < 0) {
    if (errno != EEXIST) return failed(path, "written");
    return Error{Code::conflict, "already-exists",
                 path + " is there already; move it away if it is not needed any more.", ""};
  }
  for (auto left = bytes; !left.empty();) {
    const auto n = ::write(file.fd(), left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      auto error = failed(path, "written");
      ::unlink(path.c_str());
      return error;
    }
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  const auto parent = std::filesystem::absolute(path).parent_path();
  const File folder(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (::fsync(file.fd()) != 0 || folder.fd() < 0 || ::fsync(folder.fd()) != 0) return failed(path, "synced");
  return std::nullopt;
}

Result<std::string> read_small(const std::string& path, std::size_t most) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return failed(path, "read");
  std::string out(most + 1, '\0');
  std::size_t length = 0;
  while (length < out.size()) {
    const auto n = ::read(file.fd(), out.data() + length, out.size() - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(path, "read");
    if (n == 0) break;
    length += static_cast<std::size_t>(n);
  }
  if (length > most)
    return Error{Code::invalid_argument, "storage-failed",
                 fmt::format("{} is longer than {} bytes; it cannot be what it should be.", path, most), ""};
  out.resize(length);
  return out;
}

}  // namespace cx::auth
