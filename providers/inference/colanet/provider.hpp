#pragma once

#include <memory>
#include <string>
#include <vector>

#include "providers/inference/colanet/holder.hpp"
#include "providers/inference/colanet/network.hpp"
#include "providers/inference/provider.hpp"

namespace cx::inference::colanet {

/// A model file on this machine's CPU. The first features of an item are the model's inputs, as they come:
/// below 0 and NaN count as 0, above 1 as 1 (encode; training does the same). An offer without a column of
/// its own is scored by the prior. Each call uses the model that is in place when it begins, to its end.
class ColanetProvider final : public CoLaNetProvider {
 public:
  explicit ColanetProvider(std::shared_ptr<const ModelHolder> models);

  Result<Scores> predict(const Item& item) override;
  std::vector<Result<Scores>> predict_batch(std::span<const Item> items) override;
  /// cpu/NAME@HASH8 of the model that answered last, or, before, of the one in place.
  std::string provider_name() const override { return name_; }
  bool supports_batching() const override { return true; }
  std::size_t max_batch_size() const override { return 32; }
  /// Scores every offer once.
  std::optional<Error> warm_up() override;

 private:
  Result<Scores> predict(const Served& served, const Item& item);
  void name(const Served& served);

  std::shared_ptr<const ModelHolder> models_;
  std::string name_;
  // Kept between items for their memory.
  Events events_;
  std::vector<std::uint32_t> which_;
  std::vector<std::int64_t> z_;
};

}  // namespace cx::inference::colanet
