#include "tools/campaignctl/document.hpp"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "tools/campaignctl/io.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxValues = 100'000;  // aliases of YAML can make a small file a huge document

/// What a plain word of YAML means (YAML 1.2, core schema).
json::value plain_word(const std::string& text) {
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto read = std::from_chars(text.data(), end, whole); read.ec == std::errc() && read.ptr == end)
    return whole;
  double number = 0;
  const bool digits = text.find_first_not_of("0123456789+-.eE") == text.npos;
  if (const auto read = std::from_chars(text.data(), end, number);
      digits && read.ec == std::errc() && read.ptr == end)
    return number;
  return json::value(text);
}

struct Converter {
  int values = 0;
  YAML::Mark mark = YAML::Mark::null_mark();
  std::string wrong = {};

  json::value convert(const YAML::Node& node, int depth) {
    if (depth > kMaxDepth || ++values > kMaxValues) {
      mark = node.Mark();
      wrong = depth > kMaxDepth ? "nested too deep" : "more than 100,000 values";
      return nullptr;
    }
    if (!wrong.empty()) return nullptr;
    if (node.IsMap()) {
      json::object object;
      for (const auto& item : node) {
        const auto key = item.first.IsScalar() ? item.first.Scalar() : "";
        if (key.empty() || object.contains(key)) {
          mark = item.first.Mark();
          wrong = key.empty() ? "a key that is no word" : "the key " + key + " for the second time";
          return nullptr;
        }
        object[key] = convert(item.second, depth + 1);
      }
      return object;
    }
    if (node.IsSequence()) {
      json::array array;
      for (const auto& item : node) array.push_back(convert(item, depth + 1));
      return array;
    }
    if (!node.IsScalar()) return nullptr;
    return node.Tag() == "!" ? json::value(node.Scalar()) : plain_word(node.Scalar());  // "!": it was quoted
  }
};

}  // namespace

Outcome<json::value> parse_document(const std::string& text, const std::string& name) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  auto value = json::parse(text, error, {}, options);
  if (!error) return value;
  const auto refuse = [&](const YAML::Mark& mark, const std::string& what) {
    return Failure{
        Exit::rejected, "malformed-document",
        fmt::format("{}:{}:{}: neither JSON nor YAML: {}", name, mark.line + 1, mark.column + 1, what), ""};
  };
  try {
    Converter converter;
    auto document = converter.convert(YAML::Load(text), 0);
    if (!converter.wrong.empty()) return refuse(converter.mark, converter.wrong);
    return document;
  } catch (const YAML::Exception& e) {
    return refuse(e.mark, e.msg);
  }
}

Outcome<std::string> read_input(const std::string& name, std::size_t limit) {
  if (name == "-") return read_all(STDIN_FILENO, "standard input", limit);
  const File file(open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return usage(fmt::format("cannot open {}: {}", name, error_text(errno)));
  return read_all(file.fd(), name, limit);
}

}  // namespace cx::ctl
