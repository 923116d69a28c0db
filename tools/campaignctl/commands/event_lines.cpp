#include "tools/campaignctl/commands/event_lines.hpp"

#include <boost/json.hpp>
#include <fmt/core.h>
#include <openssl/sha.h>

namespace cx::ctl {
namespace json = boost::json;

namespace {

constexpr std::size_t kMaxLine = 32'768;

std::string message_id(const std::string& line, std::size_t number) {
  const auto text = std::to_string(number) + ':' + line;
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  std::string id("line-");
  for (std::size_t i = 0; i < 16; ++i) id += fmt::format("{:02x}", hash[i]);
  return id;
}

}  // namespace

Outcome<std::string> read_event_line(std::string line, std::size_t number) {
  const auto refuse = [](std::string why) {
    return Failure{Exit::rejected, "invalid-line", std::move(why), ""};
  };
  if (line.ends_with('\r')) line.pop_back();
  if (line.find_first_not_of(" \t") == line.npos) return std::string();
  if (line.size() > kMaxLine)
    return refuse(fmt::format("it has {} bytes; an event has at most {}", line.size(), kMaxLine));
  boost::system::error_code error;
  const auto event = json::parse(line, error);
  const auto* object = event.if_object();
  if (error || object == nullptr) return refuse("it is no JSON object");
  std::string added;
  const auto has = [object](const char* name) {
    const auto* value = object->if_contains(name);
    return value != nullptr && !value->is_null() && *value != "";
  };
  if (!has("type") && has("event") && !object->contains("type")) added += R"("type":"track",)";
  if (!has("messageId") && !object->contains("messageId"))
    added += fmt::format(R"("messageId":"{}",)", message_id(line, number));
  if (object->empty() && !added.empty()) added.pop_back();
  return line.insert(line.find('{') + 1, added);
}

}  // namespace cx::ctl
