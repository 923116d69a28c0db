#include <algorithm>
#include <fmt/core.h>
#include <numeric>

#include "providers/inference/colanet/model.hpp"
#include "providers/inference/learning/schema.hpp"
#include "runtime/random.hpp"

namespace cx::inference::learning {
namespace {

/// The inputs of every word of a column, worked out once; those of a missing value are last.
struct Inputs {
  const TableColumn* column;
  std::vector<std::size_t> ends{0};
  std::vector<Active> actives;
};

/// Ids of offers as a model file takes them.
bool is_offer_id(std::string_view id) {
  return id.size() <= colanet::kMaxOfferId &&
         std::none_of(id.begin(), id.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

}  // namespace

Result<Examples> Examples::of(const Schema& schema, const Table& table, std::span<const std::uint32_t> rows) {
  const auto refuse = [](std::string detail) {
    return Error{Code::invalid_argument, "table-without-column", std::move(detail), ""};
  };
  std::vector<Inputs> fields;
  std::uint32_t first = 0;
  for (const auto& field : schema.fields()) {
    Inputs inputs{table.column(field.name), {0}, {}};
    if (inputs.column == nullptr)
      return refuse(fmt::format("the table has no column {}, which the model reads", field.name));
    for (const auto& word : inputs.column->words) {
      add_inputs(field, first, word, inputs.actives);
      inputs.ends.push_back(inputs.actives.size());
    }
    add_inputs(field, first, "", inputs.actives);
    inputs.ends.push_back(inputs.actives.size());
    fields.push_back(std::move(inputs));
    first += field.inputs();
  }
  const auto* target = table.column(schema.target());
  if (target == nullptr)
    return refuse(fmt::format("the table has no column {}, which the model forecasts", schema.target()));
  const auto positive = static_cast<std::uint32_t>(
      std::find(target->words.begin(), target->words.end(), schema.positive()) - target->words.begin());

  const auto* offers = schema.offer().empty() ? nullptr : table.column(schema.offer());
  if (offers == nullptr && !schema.offer().empty())
    return refuse(fmt::format("the table has no column {}, which says what a row is about", schema.offer()));
  if (offers != nullptr && !std::all_of(offers->words.begin(), offers->words.end(), is_offer_id))
    return refuse(
        fmt::format("{} has a value of more than {} bytes or with control characters, which no "
                    "offer's id has",
                    offers->name, colanet::kMaxOfferId));
  Examples out(first, offers == nullptr ? Ids() : std::make_shared<std::vector<std::string>>(offers->words));
  std::vector<Active> inputs;
  for (const auto row : rows) {
    if (target->codes[row] == kMissing)
      return refuse(
          fmt::format("row {} below the heads has no value in {}, which is to be forecast: leave out "
                      "such rows",
                      row + 1, target->name));
    inputs.clear();
    for (const auto& [column, ends, actives] : fields) {
      const auto code = column->codes[row] == kMissing ? column->words.size() : column->codes[row];
      for (auto i = ends[code]; i < ends[code + 1]; ++i) inputs.push_back(actives[i]);
    }
    out.add(inputs, target->codes[row] == positive, offers == nullptr ? kNoOffer : offers->codes[row]);
  }
  return out;
}

void Examples::add(std::span<const Active> inputs, bool rewarded, std::uint32_t offer) {
  for (const auto& active : inputs)
    if (active.input < inputs_) actives_.push_back(active);
  ends_.push_back(actives_.size());
  labels_.push_back(rewarded ? 1 : 0);
  offers_.push_back(offer);
}

Examples Examples::pick(std::span<const std::uint32_t> rows) const {
  Examples out(inputs_, ids_);
  for (const auto i : rows) out.add(row(i), labels_[i] != 0, offers_[i]);
  return out;
}

Examples Examples::sample(double share, std::uint64_t seed) const {
  Examples out(inputs_, ids_);
  Random random(seed);
  for (std::size_t i = 0; i < size(); ++i)
    if (labels_[i] != 0 || random.uniform() < share) out.add(row(i), labels_[i] != 0, offers_[i]);
  return out;
}

std::size_t Examples::positives() const {
  return static_cast<std::size_t>(std::count(labels_.begin(), labels_.end(), 1));
}

const std::vector<std::string>& Examples::offer_ids() const {
  static const std::vector<std::string> kNone;
  return ids_ ? *ids_ : kNone;
}

void Examples::fill(std::size_t i, std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0F);
  for (const auto& [input, x] : row(i)) out[input] = x;
}

Split split(std::uint32_t rows, std::uint64_t seed) {
  std::vector<std::uint32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (std::uint32_t i = rows; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  const auto [first, second] = cuts(rows);
  const auto validation = order.begin() + static_cast<std::ptrdiff_t>(first),
             test = order.begin() + static_cast<std::ptrdiff_t>(second);
  return {{order.begin(), validation}, {validation, test}, {test, order.end()}};
}

}  // namespace cx::inference::learning
