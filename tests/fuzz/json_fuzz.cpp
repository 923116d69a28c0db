#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <google/protobuf/stubs/logging.h>
#include <simdjson.h>

#include "gateways/json/codec.hpp"
#include "gateways/json/rules.hpp"
#include "kinds.pb.h"

namespace {

using namespace cx;
using google::protobuf::Message;

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "Broken: %s\n", what);
  std::abort();
}

bool is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

void require_json(std::string_view text) {
  simdjson::dom::parser parser;
  const auto error = parser.parse(text.data(), text.size()).error();
  // RFC 8259 sets numbers no limits, this other parser does.
  require(error == simdjson::SUCCESS || error == simdjson::NUMBER_ERROR, "it is JSON");
}

void require_complaint(const std::optional<Error>& error) {
  if (!error) return;
  require(error->code == Code::invalid_argument, "only the sender is to blame");
  require(!error->type.empty() && !error->detail.empty(), "a complaint says what is wrong");
  require(error->detail.size() < 20'000, "a complaint is short");
  require(is_utf8(error->detail) && is_utf8(error->pointer), "a complaint is text");
  require(error->pointer.empty() || error->pointer.front() == '/', "a pointer starts with a slash");
}

/// Whatever callers sent, the rest of the path must stand it.
void use(Message& message) {
  require_complaint(json::validate(message));
  require_json(json::print(message, {.mask = true}));
  json::fill(message, [] { return std::string("id"); });
  json::clear_internal(message);
  json::clear_output_only(message);
  require_json(json::print(message));
}

void read_document(const Message& prototype, std::string_view text) {
  const std::unique_ptr<Message> message(prototype.New());
  std::vector<std::string> present;
  const auto error = json::parse(text, *message, {.present = &present});
  require_complaint(error);
  if (error) return;
  if (text.find_first_not_of(" \t\r\n") != text.npos) require_json(text);
  const auto printed = json::print(*message);
  const std::unique_ptr<Message> again(prototype.New());
  require(!json::parse(printed, *again), "what is printed is read");
  require(json::print(*again) == printed, "what is read is what was printed");
  use(*message);
}

void read_binary(const Message& prototype, std::string_view bytes) {
  const std::unique_ptr<Message> message(prototype.New());
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  require_json(json::print(*message));
  use(*message);
}

void read_parameter(const Message& prototype, std::string_view text) {
  const auto equals = std::min(text.find('='), text.size());
  const std::unique_ptr<Message> message(prototype.New());
  require_complaint(
      json::set_field(*message, text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))));
  use(*message);
}

}  // namespace

/// The first byte says what to do with the others.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto silent = (google::protobuf::SetLogHandler(nullptr), 0);
  (void)silent;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Message* const types[] = {&test::json::Everything::default_instance(),
                                  &test::json::Ruled::default_instance()};
  const Message& type = *types[data[0] & 1];
  switch (data[0] >> 1 & 3) {
    case 0:
      read_binary(type, text);
      break;
    case 1:
      read_parameter(type, text);
      break;
    default:
      read_document(type, text);
  }
  return 0;
}
