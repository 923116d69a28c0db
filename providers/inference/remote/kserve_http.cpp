#include "providers/inference/remote/kserve_http.hpp"

#include <bit>
#include <boost/json/parse.hpp>
#include <cstring>
#include <fmt/format.h>

namespace cx::inference::remote {
namespace {

namespace json = boost::json;

static_assert(std::endian::native == std::endian::little, "tensors are sent as they lie in memory");

constexpr std::size_t kMostJson = 65'536;

void append(std::string& to, const void* from, std::size_t bytes) {
  to.append(static_cast<const char*>(from), bytes);
}

std::string header_of(const Batch& batch) {
  return fmt::format(
      R"({{"inputs":[{{"name":"{}","shape":[{},{}],"datatype":"FP32","parameters":{{"binary_data_size":{}}}}},)"
      R"({{"name":"{}","shape":[{},{}],"datatype":"INT32","parameters":{{"binary_data_size":{}}}}}],)"
      R"("outputs":[{{"name":"{}","parameters":{{"binary_data":true}}}}]}})",
      kFeaturesName, batch.rows, kFeatures, batch.features.size() * sizeof(float), kOffersName, batch.rows,
      batch.width, batch.offers.size() * sizeof(std::int32_t), kScoreName);
}

std::string_view text_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

/// The only output that the header names; null if there is not exactly one.
const json::object* only_output(const json::value& header) {
  const auto* object = header.if_object();
  const auto* outputs = object == nullptr ? nullptr : object->if_contains("outputs");
  const auto* list = outputs == nullptr ? nullptr : outputs->if_array();
  return list == nullptr || list->size() != 1 ? nullptr : list->front().if_object();
}

std::vector<std::int64_t> shape_of(const json::object& output) {
  std::vector<std::int64_t> shape;
  const auto* list = output.if_contains("shape");
  if (list == nullptr || !list->is_array()) return shape;
  for (const auto& size : list->get_array()) shape.push_back(size.is_int64() ? size.get_int64() : -1);
  return shape;
}

std::int64_t binary_size(const json::object& output) {
  const auto* parameters = output.if_contains("parameters");
  if (parameters == nullptr || !parameters->is_object()) return -1;
  const auto* size = parameters->get_object().if_contains("binary_data_size");
  return size != nullptr && size->is_int64() ? size->get_int64() : -1;
}

}  // namespace

KserveHttp::KserveHttp(const std::string& url, const std::string& model, const std::string& ca_file)
    : model_url_(fmt::format("{}/v2/models/{}", url, model)), session_("kserve-http", ca_file) {}

Result<std::vector<float>> KserveHttp::infer(const Batch& batch, std::chrono::milliseconds timeout) {
  auto body = header_of(batch);
  const auto json_size = body.size();
  body.reserve(json_size + batch.features.size() * sizeof(float) +
               batch.offers.size() * sizeof(std::int32_t));
  append(body, batch.features.data(), batch.features.size() * sizeof(float));
  append(body, batch.offers.data(), batch.offers.size() * sizeof(std::int32_t));
  const auto bytes = batch.cells() * sizeof(float);
  const auto answer = session_.send({model_url_ + "/infer",
                                     {"Content-Type: application/octet-stream",
                                      fmt::format("Inference-Header-Content-Length: {}", json_size)},
                                     body,
                                     timeout,
                                     kMostJson + bytes});
  if (!answer) return answer.error();
  const auto broken = [&](std::string_view what) { return malformed(name(), what); };
  if (!answer->json_size)
    return broken("has no Inference-Header-Content-Length: it does not speak the binary data extension");
  const std::string_view all = answer->body;
  if (*answer->json_size > all.size())
    return broken(fmt::format("has {} bytes, but a header of {}", all.size(), *answer->json_size));
  boost::system::error_code error;
  const auto header = json::parse(all.substr(0, *answer->json_size), error);
  if (error) return broken(fmt::format("has a header that is not JSON ({})", error.message()));
  const auto* output = only_output(header);
  if (output == nullptr) return broken("does not have exactly one output");
  if (auto wrong = check_output(name(), text_of(*output, "name"), text_of(*output, "datatype"),
                                shape_of(*output), batch))
    return std::move(*wrong);
  const auto data = all.substr(*answer->json_size);
  if (data.size() != bytes || binary_size(*output) != static_cast<std::int64_t>(bytes))
    return broken(fmt::format("has {} bytes of scores and says {}, instead of {}", data.size(),
                              binary_size(*output), bytes));
  std::vector<float> scores(batch.cells());
  std::memcpy(scores.data(), data.data(), bytes);
  return scores;
}

std::optional<Error> KserveHttp::ready(std::chrono::milliseconds timeout) {
  const auto answer = session_.send({model_url_ + "/ready", {}, std::nullopt, timeout, kMostJson});
  return answer ? std::nullopt : std::optional(answer.error());
}

}  // namespace cx::inference::remote
