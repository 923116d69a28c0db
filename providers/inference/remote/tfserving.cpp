#include "providers/inference/remote/tfserving.hpp"

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>

namespace cx::inference::remote {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostOther = 65'536;  // bytes of an answer that are no scores
constexpr std::size_t kMostNumber = 40;     // bytes of a score, its comma and white space

std::string request_of(const Batch& batch) {
  std::string out = R"({"signature_name":"serving_default","instances":[)";
  for (std::size_t row = 0; row < batch.rows; ++row) {
    const std::span features(batch.features.data() + row * kFeatures, kFeatures);
    const std::span offers(batch.offers.data() + row * batch.width, batch.width);
    fmt::format_to(std::back_inserter(out), R"({}{{"{}":[{}],"{}":[{}]}})", row == 0 ? "" : ",",
                   kFeaturesName, fmt::join(features, ","), kOffersName, fmt::join(offers, ","));
  }
  return out += "]}";
}

}  // namespace

TfServing::TfServing(const std::string& url, const std::string& model, const std::string& ca_file)
    : model_url_(fmt::format("{}/v1/models/{}", url, model)), session_("tfserving", ca_file) {}

Result<std::vector<float>> TfServing::infer(const Batch& batch, std::chrono::milliseconds timeout) {
  const auto request = request_of(batch);
  const auto answer = session_.send({model_url_ + ":predict",
                                     {"Content-Type: application/json"},
                                     request,
                                     timeout,
                                     kMostOther + batch.cells() * kMostNumber});
  if (!answer) return answer.error();
  const auto broken = [&](std::string_view what) { return malformed(name(), what); };
  boost::system::error_code error;
  const auto document = json::parse(answer->body, error);
  // Infinities and NaN, which TensorFlow Serving writes as such, are no JSON either.
  if (error)
    return broken(fmt::format("is not JSON ({}), or has a score that is not finite", error.message()));
  const auto* object = document.if_object();
  const auto* predictions = object == nullptr ? nullptr : object->if_contains("predictions");
  const auto* rows = predictions == nullptr ? nullptr : predictions->if_array();
  if (rows == nullptr) return broken("has no list \"predictions\"");
  if (rows->size() != batch.rows)
    return broken(fmt::format("has {} predictions instead of {}", rows->size(), batch.rows));
  std::vector<float> scores;
  scores.reserve(batch.cells());
  for (const auto& row : *rows) {
    const auto* list = row.if_array();
    if (list == nullptr || list->size() != batch.width)
      return broken(fmt::format("has a prediction that is no list of {} scores", batch.width));
    for (const auto& score : *list) {
      if (!score.is_number()) return broken("has a score that is not a number");
      scores.push_back(score.to_number<float>());
    }
  }
  return scores;
}

std::optional<Error> TfServing::ready(std::chrono::milliseconds timeout) {
  const auto answer = session_.send({model_url_, {}, std::nullopt, timeout, kMostOther});
  if (!answer) return answer.error();
  if (answer->body.find("AVAILABLE") == std::string::npos)
    return Error{Code::unavailable, "remote-refused",
                 fmt::format("{}: {} has no version of the model that is AVAILABLE.", name(), model_url_),
                 ""};
  return std::nullopt;
}

}  // namespace cx::inference::remote
