#include "providers/inference/remote/remote.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>
#include <limits>

namespace cx::inference::remote {
namespace {

using std::chrono::milliseconds;

// What is left of a deadline for whoever answers when the server did not: the CPU scores a batch in less.
constexpr milliseconds kLeftForOthers{1};
// The first answer of a server may have to load and compile the model.
constexpr milliseconds kWarmUp{3'000};
constexpr std::size_t kMostQuoted = 200;

Result<Batch> to_batch(std::span<const Item> items) {
  Batch batch;
  batch.rows = items.size();
  for (const auto& item : items) batch.width = std::max(batch.width, item.offers.size());
  batch.features.reserve(batch.rows * kFeatures);
  batch.offers.reserve(batch.cells());
  for (const auto& item : items) {
    for (const float x : item.features) batch.features.push_back(std::isfinite(x) ? x : 0.0F);
    for (const auto offer : item.offers) {
      if (offer > std::numeric_limits<std::int32_t>::max())
        return Error{Code::invalid_argument, "unknown-offer",
                     fmt::format("Offer row {} is in no model's table.", offer), ""};
      batch.offers.push_back(static_cast<std::int32_t>(offer));
    }
    batch.offers.resize(batch.offers.size() + batch.width - item.offers.size(), -1);
  }
  return batch;
}

}  // namespace

Error malformed(std::string_view protocol, std::string_view what) {
  return {Code::internal, "remote-malformed", fmt::format("{}: the server's answer {}.", protocol, what), ""};
}

std::optional<Error> check_output(std::string_view protocol, std::string_view name, std::string_view datatype,
                                  std::span<const std::int64_t> shape, const Batch& batch) {
  if (name != kScoreName)
    return malformed(protocol,
                     fmt::format("has an output \"{}\" where \"score\" was asked for", excerpt(name)));
  if (datatype != "FP32")
    return malformed(protocol, fmt::format("has scores of type \"{}\" instead of FP32", excerpt(datatype)));
  const std::int64_t asked[] = {static_cast<std::int64_t>(batch.rows),
                                static_cast<std::int64_t>(batch.width)};
  if (std::equal(shape.begin(), shape.end(), std::begin(asked), std::end(asked))) return std::nullopt;
  return malformed(protocol, fmt::format("has scores of shape [{}] instead of [{}]",
                                         fmt::join(shape.first(std::min<std::size_t>(shape.size(), 8)), ", "),
                                         fmt::join(asked, ", ")));
}

std::string excerpt(std::string_view text) {
  std::string out(text.substr(0, kMostQuoted));
  for (auto& c : out)
    if (c < ' ' || c > '~') c = '.';
  return out;
}

RemoteProvider::RemoteProvider(std::unique_ptr<Protocol> protocol, Options options, const Clock& clock)
    : protocol_(std::move(protocol)), options_(std::move(options)), clock_(clock) {}

milliseconds RemoteProvider::budget(std::span<const Item> items) const {
  auto earliest = SteadyTime::max();
  for (const auto& item : items) earliest = std::min(earliest, item.deadline);
  if (earliest == SteadyTime::max()) return options_.timeout;
  const auto left = std::chrono::floor<milliseconds>(earliest - clock_.steady()) - kLeftForOthers;
  return std::min(options_.timeout, left);
}

Result<std::vector<Scores>> RemoteProvider::ask(std::span<const Item> items) {
  if (items.size() > max_batch_size())
    return Error{Code::invalid_argument, "batch-too-large",
                 fmt::format("{} items are more than the {} that profile {} takes at once.", items.size(),
                             max_batch_size(), options_.profile->name),
                 ""};
  const auto batch = to_batch(items);
  if (!batch) return batch.error();
  if (batch->width == 0) return std::vector<Scores>(items.size());  // nothing to score
  const auto timeout = budget(items);
  if (timeout < milliseconds(1))
    return Error{Code::deadline_exceeded, "no-time",
                 fmt::format("{}: the deadline leaves the server no time.", protocol_->name()), ""};
  const auto answer = protocol_->infer(*batch, timeout);
  if (!answer) return answer.error();
  if (answer->size() != batch->cells())
    return malformed(protocol_->name(),
                     fmt::format("has {} scores instead of {}", answer->size(), batch->cells()));
  std::vector<Scores> out;
  out.reserve(items.size());
  for (std::size_t row = 0; row < items.size(); ++row) {
    const auto* first = answer->data() + row * batch->width;
    const Scores scores(first, first + items[row].offers.size());
    const auto wrong =
        std::find_if_not(scores.begin(), scores.end(), [](float p) { return p >= 0 && p <= 1; });
    if (wrong != scores.end())
      return malformed(protocol_->name(),
                       fmt::format("has the score {} in row {}: not a probability", *wrong, row));
    out.push_back(scores);
  }
  return out;
}

Result<Scores> RemoteProvider::predict(const Item& item) {
  auto all = ask({&item, 1});
  if (!all) return all.error();
  return std::move(all->front());
}

std::vector<Result<Scores>> RemoteProvider::predict_batch(std::span<const Item> items) {
  auto all = ask(items);
  if (!all) return std::vector<Result<Scores>>(items.size(), Result<Scores>(all.error()));
  return std::vector<Result<Scores>>(std::make_move_iterator(all->begin()),
                                     std::make_move_iterator(all->end()));
}

std::string RemoteProvider::provider_name() const {
  return fmt::format("{}/{}@{}", protocol_->name(), options_.model, options_.profile->name);
}

std::optional<Error> RemoteProvider::warm_up() {
  if (auto error = protocol_->ready(kWarmUp)) return error;
  const Item item{{}, {0}};
  const auto batch = to_batch({&item, 1});
  const auto answer = protocol_->infer(*batch, kWarmUp);
  return answer ? std::nullopt : std::optional(answer.error());
}

}  // namespace cx::inference::remote
