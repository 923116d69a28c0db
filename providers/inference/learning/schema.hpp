#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/inference/learning/examples.hpp"
#include "providers/inference/learning/table.hpp"
#include "runtime/error.hpp"

namespace cx::inference::learning {

/// How one field of a record becomes inputs, which lie side by side in this order.
/// A number: one input for each bin, 1 for the one that holds it; then, if `scaled`, one with the number's
/// rank among the training rows in [0, 1]; then, if `missing`, one that is 1 where there is no value. The
/// bins are cut at `edges`, and an edge belongs to the bin above. A category: one input for each of `values`;
/// then `pools` for all others, of which a hash of the value chooses one; then `missing`. What was never
/// missing (or never another value) in training sets no input at all when it is later.
struct Field {
  std::string name;
  bool number = false;
  std::vector<double> edges = {};  ///< ascending
  double low = 0, high = 0;        ///< least and greatest number in training
  bool scaled = false;
  std::vector<std::string> values = {};  ///< most frequent first
  std::uint32_t pools = 0;
  bool missing = false;

  std::uint32_t inputs() const;
  bool operator==(const Field&) const = default;
};

struct SchemaOptions {
  std::uint32_t inputs = 256;  ///< at most; wide fields get fewer when they do not fit
  std::uint32_t bins = 10;
  std::vector<std::string> drop = {};  ///< columns to leave out
  std::string offer = {};              ///< the column that names the offer: no input; empty for none
};

/// How records become the inputs of a network, learnt from the rows that it is trained on and from no others.
/// Part of the model: serving reads a record as training did.
class Schema {
 public:
  /// `rows` are numbers of rows of the table. `target` is the column to forecast, 1 where it is `positive`;
  /// if that is empty, the one of its two values that says yes ("1", "yes", "true", "y", "t"). Columns that
  /// are the same in all rows are left out, and so are values that fewer than 5 rows (or one in 2,000) have:
  /// they share an input. Errors name the column.
  static Result<Schema> learn(const Table& table, std::span<const std::uint32_t> rows,
                              std::string_view target, std::string_view positive,
                              const SchemaOptions& options = {});

  /// Equal schemas have equal texts.
  std::string json() const;
  static Result<Schema> parse(std::string_view json);
  /// xxh64 of json().
  std::uint64_t hash() const;

  std::uint32_t inputs() const;
  const std::vector<Field>& fields() const { return fields_; }
  const std::string& target() const { return target_; }
  const std::string& positive() const { return positive_; }
  /// The column that says which offer a row is about; empty where there is none.
  const std::string& offer() const { return offer_; }

  bool operator==(const Schema&) const = default;

 private:
  std::vector<Field> fields_;
  std::string target_, positive_, offer_;
};

/// The inputs of one value of a field whose first input is `first`, added to `out`; an empty word is a
/// missing value, and so is what is no number in a field of numbers.
void add_inputs(const Field& field, std::uint32_t first, std::string_view word, std::vector<Active>& out);

}  // namespace cx::inference::learning
