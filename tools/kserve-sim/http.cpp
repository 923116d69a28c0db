#include "tools/kserve-sim/http.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace cx::kserve_sim {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using inference::kFeatures;
using vendor_sim::Answer;
using vendor_sim::Request;

constexpr char kHeaderSize[] = "Inference-Header-Content-Length";
constexpr std::size_t kMostCells = 1 << 20;
constexpr std::size_t kHuge = 8 << 20;

/// What is scored, whatever protocol it came by.
struct Input {
  std::vector<float> features;
  std::vector<std::int32_t> offers;
  std::size_t rows = 0, width = 0;
};

Answer plain(unsigned status, std::string body = "") {
  Answer out;
  out.response.result(status);
  if (!body.empty()) out.response.set(http::field::content_type, "application/json");
  out.response.body() = std::move(body);
  return out;
}
Answer complain(unsigned status, std::string_view what) {
  return plain(status, json::serialize(json::object{{"error", what}}));
}
Error bad(std::string what) {
  return {Code::invalid_argument, "bad-request", std::move(what), ""};
}

const json::value* find(const json::value* in, std::string_view name) {
  return in != nullptr && in->is_object() ? in->get_object().if_contains({name.data(), name.size()})
                                          : nullptr;
}
std::string_view text_of(const json::value* value) {
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}
/// A size of a tensor; 0 for none.
std::size_t size_of(const json::value* value) {
  return value != nullptr && value->is_int64() && value->get_int64() > 0 &&
                 value->get_int64() <= static_cast<std::int64_t>(kMostCells) * 4
             ? static_cast<std::size_t>(value->get_int64())
             : 0;
}

/// One input of a binary request; takes its bytes from the front of `data`.
template <class T>
std::optional<Error> take_tensor(const json::value& input, const char* datatype, std::string_view& data,
                                 std::vector<T>& values, std::size_t& rows, std::size_t& width) {
  const auto* shape = find(&input, "shape");
  if (text_of(find(&input, "datatype")) != datatype || shape == nullptr || !shape->is_array() ||
      shape->get_array().size() != 2)
    return bad(fmt::format("An input has to be a matrix of {}.", datatype));
  rows = size_of(&shape->get_array()[0]);
  width = size_of(&shape->get_array()[1]);
  const auto bytes = size_of(find(find(&input, "parameters"), "binary_data_size"));
  if (rows == 0 || width == 0 || rows > kMostCells / width || bytes != rows * width * sizeof(T) ||
      bytes > data.size())
    return bad("An input's shape, its binary_data_size and the body's length do not fit together.");
  values.resize(rows * width);
  std::memcpy(values.data(), data.data(), bytes);
  data.remove_prefix(bytes);
  return std::nullopt;
}

Result<Input> read_binary(const Request& request) {
  const auto field = request[kHeaderSize];
  std::size_t header_size = 0;
  const auto parsed = std::from_chars(field.data(), field.data() + field.size(), header_size);
  std::string_view data = request.body();
  if (parsed.ec != std::errc{} || header_size > data.size())
    return bad(fmt::format("{} has to say how long the JSON is.", kHeaderSize));
  boost::system::error_code error;
  const auto header = json::parse(data.substr(0, header_size), error);
  const auto* inputs = error ? nullptr : find(&header, "inputs");
  if (inputs == nullptr || !inputs->is_array())
    return bad("The header has to be JSON with a list of inputs.");
  data.remove_prefix(header_size);
  Input out;
  std::size_t columns = 0, offer_rows = 0;
  for (const auto& input : inputs->get_array()) {
    std::optional<Error> wrong = bad("Inputs are features and offers.");
    if (text_of(find(&input, "name")) == "features")
      wrong = take_tensor(input, "FP32", data, out.features, out.rows, columns);
    else if (text_of(find(&input, "name")) == "offers")
      wrong = take_tensor(input, "INT32", data, out.offers, offer_rows, out.width);
    if (wrong) return std::move(*wrong);
  }
  if (columns != kFeatures || offer_rows != out.rows)
    return bad(fmt::format("features have to be FP32 [n, {}], offers INT32 [n, k].", kFeatures));
  return out;
}

Result<Input> read_instances(const Request& request) {
  boost::system::error_code error;
  const auto body = json::parse(request.body(), error);
  const auto* instances = error ? nullptr : find(&body, "instances");
  if (instances == nullptr || !instances->is_array() || instances->get_array().empty())
    return bad("JSON with a list \"instances\" is missing.");
  Input out;
  for (const auto& instance : instances->get_array()) {
    const auto* features = find(&instance, "features");
    const auto* offers = find(&instance, "offers");
    if (features == nullptr || !features->is_array() || features->get_array().size() != kFeatures ||
        offers == nullptr || !offers->is_array() || offers->get_array().empty() ||
        (out.rows > 0 && offers->get_array().size() != out.width))
      return bad(fmt::format("An instance has {} features and as many offers as the others.", kFeatures));
    ++out.rows;
    out.width = offers->get_array().size();
    for (const auto& x : features->get_array()) {
      if (!x.is_number()) return bad("Features are numbers.");
      out.features.push_back(x.to_number<float>());
    }
    for (const auto& offer : offers->get_array()) {
      if (!offer.is_int64() || offer.get_int64() < -1 || offer.get_int64() > INT32_MAX)
        return bad("Offers are 32-bit numbers.");
      out.offers.push_back(static_cast<std::int32_t>(offer.get_int64()));
    }
  }
  return out;
}

Answer write_binary(const Simulator& simulator, const Output& output, Mode mode) {
  const auto bytes = output.scores.size() * sizeof(float);
  auto header = json::serialize(
      json::object{{"model_name", simulator.model()},
                   {"outputs",
                    {json::object{{"name", "score"},
                                  {"datatype", output.datatype},
                                  {"shape", json::array(output.shape.begin(), output.shape.end())},
                                  {"parameters", {{"binary_data_size", bytes}}}}}}});
  auto out = plain(200, header);
  out.response.set(http::field::content_type, "application/octet-stream");
  // A malformed one has its bytes, but three less of them than it says.
  const auto sent = mode == Mode::malformed ? bytes - 3 : bytes;
  out.response.set(kHeaderSize, std::to_string(header.size()));
  out.response.body().append(reinterpret_cast<const char*>(output.scores.data()), sent);
  return out;
}

Answer write_predictions(const Output& output, Mode mode) {
  std::string body = R"({"predictions": [)";
  const auto width = static_cast<std::size_t>(output.shape[1]);
  for (std::size_t i = 0; i < output.scores.size(); ++i) {
    body += i % width != 0 ? ", " : i == 0 ? "[" : "], [";
    if (mode == Mode::wrong_type)
      body += fmt::format("\"{}\"", output.scores[i]);
    else
      body += std::isnan(output.scores[i]) ? "NaN" : fmt::format("{}", output.scores[i]);
  }
  body += "]]}";
  if (mode == Mode::malformed) body.resize(body.size() - 2);
  return plain(200, std::move(body));
}

Answer infer(Simulator& simulator, const Request& request, bool binary) {
  const auto behaviour = simulator.next();
  if (behaviour.mode == Mode::error) return complain(behaviour.status, "Told to fail.");
  const auto input = binary ? read_binary(request) : read_instances(request);
  if (!input) return complain(400, input.error().detail);
  const auto output =
      simulator.score(input->features, input->offers, input->rows, input->width, behaviour.mode);
  if (!output) return complain(400, output.error().detail);
  auto out =
      binary ? write_binary(simulator, *output, behaviour.mode) : write_predictions(*output, behaviour.mode);
  if (behaviour.mode == Mode::huge) out.response.body().append(kHuge, ' ');
  out.delay = behaviour.mode == Mode::slow ? behaviour.delay : simulator.latency();
  if (behaviour.mode == Mode::hang) out.way = Answer::Way::hang;
  if (behaviour.mode == Mode::slow) out.way = Answer::Way::slow;
  if (behaviour.mode == Mode::reset) out.way = Answer::Way::reset;
  if (behaviour.mode == Mode::cut) out.way = Answer::Way::cut;
  return out;
}

Answer set_behaviour(Simulator& simulator, const Request& request) {
  boost::system::error_code error;
  const auto body = json::parse(request.body(), error);
  const auto mode = error ? std::nullopt : mode_of(text_of(find(&body, "mode")));
  if (!mode) return complain(400, "mode has to be one of " + mode_names() + ".");
  const auto number = [&](const char* name, double otherwise, double most) {
    const auto* value = find(&body, name);
    return value != nullptr && value->is_number() ? std::clamp(value->to_number<double>(), 0.0, most)
                                                  : otherwise;
  };
  Behaviour behaviour;
  behaviour.mode = *mode;
  behaviour.share = number("share", 1, 1);
  if (const auto count = number("count", 0, 1e15); count >= 1)
    behaviour.count = static_cast<std::uint64_t>(count);
  behaviour.status = std::max(300U, static_cast<unsigned>(number("status", behaviour.status, 599)));
  const auto delay = number("delay_ms", static_cast<double>(behaviour.delay.count()), 3.6e6);
  behaviour.delay = std::chrono::milliseconds(static_cast<std::int64_t>(delay));
  simulator.behave(behaviour);
  return plain(204);
}

}  // namespace

Answer answer(Simulator& simulator, const Request& request) {
  const std::string_view path(request.target().data(), request.target().size());
  const auto verb = request.method();
  const auto v2 = "/v2/models/" + simulator.model(), v1 = "/v1/models/" + simulator.model();
  if (verb == http::verb::post) {
    if (path == v2 + "/infer") return infer(simulator, request, true);
    if (path == v1 + ":predict") return infer(simulator, request, false);
    if (path == "/_sim/behaviour") return set_behaviour(simulator, request);
  }
  if (verb == http::verb::delete_ && path == "/_sim/behaviour") {
    simulator.behave({});
    return plain(204);
  }
  if (verb == http::verb::get) {
    if (path == "/v2/health/live" || path == "/v2/health/ready" || path == v2 + "/ready") return plain(200);
    if (path == "/v2")
      return plain(200, R"({"name":"cx-kserve-sim","version":"1","extensions":["binary_tensor_data"]})");
    if (path == v1) return plain(200, R"({"model_version_status":[{"version":"1","state":"AVAILABLE"}]})");
    if (path == "/_sim/counts")
      return plain(200, json::serialize(json::object{{"requests", simulator.requests()},
                                                     {"misbehaved", simulator.misbehaved()}}));
  }
  return complain(404, "There is no such path, or no such model.");
}

}  // namespace cx::kserve_sim
