#include "providers/inference/colanet/holder.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "providers/inference/colanet/bid_schema.hpp"

namespace cx::inference::colanet {
namespace {

std::string describe(const Served& served) {
  const auto& columns = served.model.columns();
  return fmt::format("{} ({} inputs, {} columns; {} of {} offers have their own)", served.label,
                     columns.inputs, columns.count, served.own, served.column_of_row.size());
}

}  // namespace

Result<std::shared_ptr<ModelHolder>> ModelHolder::open(std::string path, std::vector<std::string> offers,
                                                       std::chrono::milliseconds interval) {
  std::shared_ptr<ModelHolder> holder(new ModelHolder(std::move(path), std::move(offers)));
  holder->seen_ = holder->stamp();
  auto first = holder->load();
  if (!first) return first.error();
  holder->current_ = std::move(*first);
  spdlog::info("inference: model {} is in use", describe(*holder->current_));
  holder->thread_ = std::jthread([self = holder.get(), interval](const std::stop_token& stop) {
    std::unique_lock lock(self->waiting_);
    while (!self->wake_.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); })) self->look();
  });
  return holder;
}

std::shared_ptr<const Served> ModelHolder::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

ModelHolder::Stamp ModelHolder::stamp() const {
  struct stat file {};
  if (::stat(path_.c_str(), &file) != 0) return {};
  return {file.st_dev, file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec};
}

Result<std::shared_ptr<const Served>> ModelHolder::load() const {
  auto model = Model::open(path_);
  if (!model) return model.error();
  if (const auto problem = problem_of_bids(*model))
    return Error{Code::invalid_argument, "invalid-model",
                 fmt::format("The model {} cannot be used: {}", path_, *problem), ""};
  std::vector<std::uint32_t> column_of_row;
  column_of_row.reserve(offers_.size());
  for (const auto& id : offers_) column_of_row.push_back(model->column_of(id).value_or(Model::kPrior));
  const auto own = std::count_if(column_of_row.begin(), column_of_row.end(),
                                 [](std::uint32_t column) { return column != Model::kPrior; });
  auto label = model->label();
  return std::make_shared<const Served>(
      Served{std::move(*model), std::move(column_of_row), static_cast<std::uint32_t>(own), std::move(label)});
}

bool ModelHolder::look() {
  const std::lock_guard alone(looking_);
  // Models are given back to the system here, and not by whoever scores with them last.
  std::erase_if(retired_, [](const auto& model) { return model.use_count() == 1; });
  const auto now = stamp();  // before reading: what changes meanwhile is seen the next time
  if (now == seen_) return false;
  seen_ = now;
  auto next = load();
  const auto before = current();
  if (!next) {
    refusals_.add();
    spdlog::error("inference: {} Model {} stays in use.", next.error().detail, before->label);
    return false;
  }
  if ((*next)->model.hash() == before->model.hash()) return false;
  retired_.push_back(before);
  {
    const std::lock_guard lock(mutex_);
    current_ = *next;
  }
  swaps_.add();
  spdlog::info("inference: model {} has taken the place of {}", describe(**next), before->label);
  return true;
}

void ModelHolder::add_metrics(Metrics& metrics) {
  metrics.counter("cx_model_swaps_total", "Models that took the place of the one in use.",
                  [this] { return static_cast<double>(swaps()); });
  metrics.counter("cx_model_refusals_total", "Model files that were refused.",
                  [this] { return static_cast<double>(refusals()); });
  metrics.gauge("cx_model_created_timestamp_seconds", "When the model in use was made, in Unix seconds.",
                [this] { return static_cast<double>(current()->model.info().created_unix_ms) / 1000; });
  metrics.gauge("cx_model_columns", "Columns of the model in use.",
                [this] { return static_cast<double>(current()->model.columns().count); });
}

}  // namespace cx::inference::colanet
