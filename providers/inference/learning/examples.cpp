#include <algorithm>
#include <fmt/core.h>
#include <numeric>

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

  Examples out;
  out.inputs_ = first;
  out.ends_.reserve(rows.size() + 1);
  out.labels_.reserve(rows.size());
  for (const auto row : rows) {
    if (target->codes[row] == kMissing)
      return refuse(
          fmt::format("row {} below the heads has no value in {}, which is to be forecast: leave out "
                      "such rows",
                      row + 1, target->name));
    out.labels_.push_back(target->codes[row] == positive ? 1 : 0);
    for (const auto& [column, ends, actives] : fields) {
      const auto code = column->codes[row] == kMissing ? column->words.size() : column->codes[row];
      for (auto i = ends[code]; i < ends[code + 1]; ++i) out.actives_.push_back(actives[i]);
    }
    out.ends_.push_back(out.actives_.size());
  }
  return out;
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
  const auto validation = order.begin() + rows * std::uint64_t{70} / 100,
             test = order.begin() + rows * std::uint64_t{85} / 100;
  return {{order.begin(), validation}, {validation, test}, {test, order.end()}};
}

}  // namespace cx::inference::learning
