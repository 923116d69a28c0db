#include "providers/inference/learning/packed.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/core.h>
#include <memory>
#include <system_error>
#include <unistd.h>
#include <zlib.h>

namespace cx::inference::learning {

std::optional<Error> read_packed(const std::string& path,
                                 const std::function<std::optional<Error>(std::string_view)>& take) {
  const auto cannot = [&](const std::string& why) {
    return Error{Code::not_found, "unreadable-table",
                 fmt::format("cannot read {}: {}", path == "-" ? "stdin" : path, why), ""};
  };
  errno = 0;
  const auto file = path == "-" ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path.c_str(), "rb");
  if (file == nullptr) return cannot(std::generic_category().message(errno));
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> closes(file, gzclose_r);
  gzbuffer(file, 1 << 17);
  std::string block(1 << 17, '\0');
  while (true) {
    const int got = gzread(file, block.data(), static_cast<unsigned>(block.size()));
    int code = Z_OK;
    const char* said = gzerror(file, &code);
    // A packed file that ends early is only told of here.
    if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END))
      return cannot(code == Z_ERRNO       ? std::generic_category().message(errno)
                    : code == Z_BUF_ERROR ? std::string("it ends in the middle of its packed text")
                                          : std::string(said));
    if (got == 0) return {};
    if (auto error = take(std::string_view(block).substr(0, static_cast<std::size_t>(got)))) return error;
  }
}

std::optional<Error> read_lines(
    const std::string& path, std::size_t longest,
    const std::function<std::optional<Error>(std::string_view line, std::size_t number)>& take) {
  std::string rest;
  std::size_t number = 0;
  const auto end_line = [&] {
    if (rest.ends_with('\r')) rest.pop_back();
    auto error = take(rest, ++number);
    rest.clear();
    return error;
  };
  auto error = read_packed(path, [&](std::string_view text) -> std::optional<Error> {
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      if (rest.size() + end > longest)
        return Error{Code::invalid_argument, "malformed-line",
                     fmt::format("{}:{}: the line is longer than {} bytes", path == "-" ? "stdin" : path,
                                 number + 1, longest),
                     ""};
      rest += text.substr(0, end);
      const bool ends = end < text.size();
      text.remove_prefix(end + (ends ? 1 : 0));
      if (ends)
        if (auto wrong = end_line()) return wrong;
    }
    return {};
  });
  if (!error && !rest.empty()) error = end_line();
  return error;
}

}  // namespace cx::inference::learning
