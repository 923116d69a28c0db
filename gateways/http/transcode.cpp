#include "gateways/http/transcode.hpp"

#include <charconv>
#include <exception>
#include <google/protobuf/util/json_util.h>
#include <spdlog/spdlog.h>

#include "gateways/problem.hpp"
#include "runtime/json.hpp"

namespace cx::http {
namespace {

using google::protobuf::Message;
namespace json = google::protobuf::util;

Error invalid_request(std::string detail) {
  return {Code::invalid_argument, "invalid-request", std::move(detail), ""};
}

bool decode(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    unsigned char byte = 0;
    const auto digits = text.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() < 2 || error != std::errc() || end != digits.data() + 2) return false;
    out += static_cast<char>(byte);
    i += 2;
  }
  return true;
}

Result<std::unique_ptr<Message>> parse(const Message& prototype, const std::string& document) {
  std::unique_ptr<Message> request(prototype.New());
  const auto status = json::JsonStringToMessage(document, request.get());
  if (status.ok()) return request;
  return invalid_request("The request is not a " + prototype.GetDescriptor()->full_name() + ": " +
                         std::string(status.message()) + " See the contract for its fields.");
}

RawReply in_json(const Services::Reply& reply) {
  if (!reply) return RawReply::failure(reply.error());
  json::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  if (const auto status = json::MessageToJsonString(**reply, &text, options); !status.ok())
    throw std::runtime_error(std::string(status.message()));
  return RawReply::document(std::move(text));
}

Error failed(const std::string& method, const std::exception& e) {
  spdlog::error("{} failed: {}", method, e.what());
  return {Code::internal, "internal", method + " failed; the node's log says why.", ""};
}

}  // namespace

Result<std::string> query_to_json(std::string_view query) {
  std::string out = "{", word;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    if (out.size() > 1) out += ',';
    for (const auto part : {pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size()))}) {
      if (!decode(part, word))
        return invalid_request(
            "A '%' in the query is not followed by two hexadecimal digits; write %25 for a percent sign.");
      append_json(out, word);
      out += ':';
    }
    out.pop_back();
  }
  return out + '}';
}

Answer transcode(const google::protobuf::MethodDescriptor& method, const Services::Unary& handler,
                 bool takes_body) {
  const auto* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.input_type());
  return [prototype, &handler, takes_body, name = method.full_name()](
             std::string_view query, const std::string& body, const ReplyTo& reply) {
    const Services::Respond respond([reply, name](const Services::Reply& result) {
      try {
        reply(in_json(result));
      } catch (const std::exception& e) {
        reply(RawReply::failure(failed(name, e)));
      }
    });
    try {
      const auto document = takes_body ? Result(body) : query_to_json(query);
      if (!document) return respond(document.error());
      const auto request = parse(*prototype, *document);
      if (!request) return respond(request.error());
      handler(**request, respond);
    } catch (const std::exception& e) {
      respond(failed(name, e));
    }
  };
}

}  // namespace cx::http
