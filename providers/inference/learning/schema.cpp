#include "providers/inference/learning/schema.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <fmt/core.h>
#include <numeric>
#include <set>
#include <xxhash.h>

#include "providers/inference/colanet/bid_schema.hpp"

namespace cx::inference::learning {
namespace json = boost::json;

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kMostInputs = 65'535;  // of a network
constexpr std::uint32_t kNarrowest = 4;        // two bins, a rank, and missing
constexpr std::size_t kLeastRows = 5;
constexpr std::size_t kLeastShare = 2'000;  // one row in so many

Error refused(std::string detail) {
  return {Code::invalid_argument, "malformed-schema", std::move(detail), ""};
}

/// Which values the rows have, and how often.
struct Counts {
  std::vector<std::size_t> words;  // by code
  std::size_t missing = 0;
};

Counts count(const TableColumn& column, std::span<const std::uint32_t> rows) {
  Counts out;
  out.words.resize(column.words.size());
  for (const auto row : rows) {
    const auto code = column.codes[row];
    ++(code == kMissing ? out.missing : out.words[code]);
  }
  return out;
}

/// Numbers in order, with how many rows have each; words like 1 and 1.0 are one.
std::vector<std::pair<double, std::size_t>> histogram(const TableColumn& column, const Counts& counts) {
  std::vector<std::pair<double, std::size_t>> all;
  for (std::size_t i = 0; i < column.numbers.size(); ++i)
    if (counts.words[i] > 0) all.emplace_back(column.numbers[i], counts.words[i]);
  std::sort(all.begin(), all.end());
  std::vector<std::pair<double, std::size_t>> out;
  for (const auto& [number, rows] : all)
    if (!out.empty() && out.back().first == number)
      out.back().second += rows;
    else
      out.emplace_back(number, rows);
  return out;
}

/// A bin for each number where there are few, else bins of about as many rows each.
Field number_field(const TableColumn& column, const Counts& counts, std::uint32_t bins) {
  Field field{.name = column.name, .number = true, .missing = counts.missing > 0};
  const auto numbers = histogram(column, counts);
  if (numbers.empty()) return field;
  field.low = numbers.front().first, field.high = numbers.back().first;
  if (numbers.size() <= bins) {
    for (std::size_t i = 1; i < numbers.size(); ++i)
      field.edges.push_back(std::midpoint(numbers[i - 1].first, numbers[i].first));
    // Two neighbours may have nothing between them: the edge is then the upper or, wrongly, the lower one.
    for (std::size_t i = 1; i < numbers.size(); ++i)
      if (field.edges[i - 1] <= numbers[i - 1].first) field.edges[i - 1] = numbers[i].first;
    return field;
  }
  field.scaled = true;
  std::size_t all = 0, seen = 0;
  for (const auto& [number, rows] : numbers) all += rows;
  std::uint32_t next = 1;
  for (const auto& [number, rows] : numbers) {
    const bool cut = (seen + rows) * bins > all * next;  // the next quantile is this number
    if (cut && seen > 0) field.edges.push_back(number);
    seen += rows;
    while (next < bins && seen * bins > all * next) ++next;
    if (next == bins) break;
  }
  return field;
}

Field category_field(const TableColumn& column, const Counts& counts, std::size_t rows) {
  Field field{.name = column.name, .missing = counts.missing > 0};
  const auto least = std::max(kLeastRows, rows / kLeastShare);
  std::vector<std::uint32_t> order(column.words.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return counts.words[a] != counts.words[b] ? counts.words[a] > counts.words[b]
                                              : column.words[a] < column.words[b];
  });
  for (const auto code : order) {
    if (counts.words[code] >= least)
      field.values.push_back(column.words[code]);
    else if (counts.words[code] > 0)
      field.pools = 1;
  }
  return field;
}

/// Makes wide fields share `inputs`: the same greatest width for all.
bool fit(std::vector<Field>& fields, const Table& table, std::span<const std::uint32_t> rows,
         std::uint32_t inputs) {
  const auto total = [&](std::uint32_t cap) {
    std::uint64_t sum = 0;
    for (const auto& field : fields) sum += std::min(cap, field.inputs());
    return sum;
  };
  std::uint32_t cap = 0;
  for (const auto& field : fields) cap = std::max(cap, field.inputs());
  if (total(cap) <= inputs) return true;
  while (cap >= kNarrowest && total(cap) > inputs) --cap;
  if (cap < kNarrowest) return false;
  for (auto& field : fields) {
    if (field.inputs() <= cap) continue;
    if (field.number) {
      const auto& column = *table.column(field.name);
      const auto counts = count(column, rows);
      field = number_field(column, counts, cap - 1 - (field.missing ? 1 : 0));
    } else {
      const auto room = cap - (field.missing ? 1 : 0);
      field.pools = std::max(room / 4, 1U);
      field.values.resize(room - field.pools);
    }
  }
  return true;
}

Result<std::string> positive_of(const TableColumn& column, const Counts& counts, std::string_view wanted) {
  std::vector<std::string> values, yes;
  for (std::size_t i = 0; i < column.words.size(); ++i) {
    if (counts.words[i] == 0) continue;
    values.push_back(column.words[i]);
    auto lower = column.words[i];
    for (auto& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    for (const auto word : {"1", "yes", "true", "y", "t"})
      if (lower == word) yes.push_back(column.words[i]);
  }
  std::string shown;
  for (std::size_t i = 0; i < std::min<std::size_t>(values.size(), 5); ++i)
    shown += (i == 0 ? "" : ", ") + values[i].substr(0, 40);
  if (values.size() > 5) shown += fmt::format(" and {} more", values.size() - 5);
  if (!wanted.empty()) {
    if (std::find(values.begin(), values.end(), wanted) == values.end())
      return refused(
          fmt::format("no training row has {} in {}: its values are {}", wanted, column.name, shown));
    if (values.size() < 2)
      return refused(
          fmt::format("every training row has {} in {}: there is nothing to learn", wanted, column.name));
    return std::string(wanted);
  }
  if (values.size() == 2 && yes.size() == 1) return yes.front();
  return Error{Code::invalid_argument, "unclear-target",
               fmt::format("which value of {} is the positive one? It has {}", column.name, shown), ""};
}

/// A number's rank: linear between the points that cut the training rows into equal parts.
float rank_of(const Field& field, double x) {
  const auto bin = static_cast<std::size_t>(std::upper_bound(field.edges.begin(), field.edges.end(), x) -
                                            field.edges.begin());
  const double from = bin == 0 ? field.low : field.edges[bin - 1];
  const double to = bin == field.edges.size() ? field.high : field.edges[bin];
  const double within = to > from ? std::clamp((x - from) / (to - from), 0.0, 1.0) : 0.5;
  return static_cast<float>((static_cast<double>(bin) + within) /
                            static_cast<double>(field.edges.size() + 1));
}

}  // namespace

std::uint32_t Field::inputs() const {
  const auto own = number ? edges.size() + 1 + (scaled ? 1 : 0) : values.size() + pools;
  return static_cast<std::uint32_t>(own) + (missing ? 1 : 0);
}

void add_inputs(const Field& field, std::uint32_t first, std::string_view word, std::vector<Active>& out) {
  const auto add = [&](std::size_t at, float x) {
    if (x > 0) out.push_back({static_cast<std::uint16_t>(first + at), x});
  };
  double number = 0;
  if (word.empty() || (field.number && !parse_number(word, number))) {
    if (field.missing) add(field.inputs() - 1, 1);
    return;
  }
  if (field.number) {
    const auto& edges = field.edges;
    add(static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), number) - edges.begin()), 1);
    if (field.scaled) add(edges.size() + 1, rank_of(field, number));
    return;
  }
  const auto found = std::find(field.values.begin(), field.values.end(), word);
  if (found != field.values.end())
    add(static_cast<std::size_t>(found - field.values.begin()), 1);
  else if (field.pools > 0)
    add(field.values.size() + XXH64(word.data(), word.size(), 0) % field.pools, 1);
}

Result<Schema> Schema::learn(const Table& table, std::span<const std::uint32_t> rows, std::string_view target,
                             std::string_view positive, const SchemaOptions& options) {
  const auto* wanted = table.column(target);
  if (wanted == nullptr) return refused(fmt::format("the table has no column {} to forecast", target));
  for (const auto& name : options.drop)
    if (table.column(name) == nullptr)
      return refused(fmt::format("the table has no column {} to drop", name));
  if (!options.offer.empty() && (table.column(options.offer) == nullptr || options.offer == target))
    return refused(fmt::format("the table has no column {} that could name offers", options.offer));
  auto yes = positive_of(*wanted, count(*wanted, rows), positive);
  if (!yes) return yes.error();

  Schema schema;
  schema.target_ = target;
  schema.positive_ = std::move(*yes);
  schema.offer_ = options.offer;
  for (const auto& column : table.columns) {
    const auto& drop = options.drop;
    if (&column == wanted || column.name == options.offer ||
        std::find(drop.begin(), drop.end(), column.name) != drop.end())
      continue;
    const auto counts = count(column, rows);
    auto field = column.is_number() ? number_field(column, counts, options.bins)
                                    : category_field(column, counts, rows.size());
    if (field.inputs() > 1) schema.fields_.push_back(std::move(field));
  }
  if (schema.fields_.empty())
    return refused(fmt::format("no column but {} differs between the training rows", target));
  if (!fit(schema.fields_, table, rows, std::min(options.inputs, kMostInputs)))
    return refused(fmt::format("{} columns do not fit into {} inputs: drop those that say least",
                               schema.fields_.size(), options.inputs));
  return schema;
}

std::uint32_t Schema::inputs() const {
  std::uint32_t sum = 0;
  for (const auto& field : fields_) sum += field.inputs();
  return sum;
}

std::string Schema::json() const {
  json::array fields;
  for (const auto& field : fields_) {
    json::object one{{"name", field.name}, {"kind", field.number ? "number" : "category"}};
    if (field.number) {
      one["edges"] = json::array(field.edges.begin(), field.edges.end());
      one["low"] = field.low;
      one["high"] = field.high;
      one["scaled"] = field.scaled;
    } else {
      one["values"] = json::array(field.values.begin(), field.values.end());
      one["pools"] = field.pools;
    }
    one["missing"] = field.missing;
    fields.push_back(std::move(one));
  }
  json::object out{{"version", kVersion}, {"target", target_}, {"positive", positive_}};
  if (!offer_.empty()) out["offer"] = offer_;
  out["fields"] = std::move(fields);
  return json::serialize(out);
}

std::uint64_t Schema::hash() const {
  return colanet::schema_hash(json());
}

namespace {

/// Reads members of an object, of which each has to be there; remembers the first that was not as it has to
/// be.
class Members {
 public:
  Members(const json::value& value, std::string where) : where_(std::move(where)) {
    object_ = value.if_object();
    if (object_ == nullptr) wrong_ = where_ + " is not an object";
  }

  bool has(const char* name) const { return find(name) != nullptr; }
  std::string text(const char* name) {
    const auto* value = find(name);
    if (value != nullptr && value->is_string()) return json::value_to<std::string>(*value);
    return wants(name, "a text"), std::string();
  }
  bool boolean(const char* name) {
    const auto* value = find(name);
    if (value != nullptr && value->is_bool()) return value->get_bool();
    return wants(name, "true or false"), false;
  }
  double number(const char* name) {
    const auto* value = find(name);
    if (value != nullptr && is_finite(*value)) return value->to_number<double>();
    return wants(name, "a number"), 0;
  }
  std::uint32_t count(const char* name) {
    const auto* value = find(name);
    if (value != nullptr && value->is_int64() && value->get_int64() >= 0 && value->get_int64() <= kMostInputs)
      return static_cast<std::uint32_t>(value->get_int64());
    return wants(name, "a count"), 0;
  }
  json::array list(const char* name) {
    const auto* value = find(name);
    if (value != nullptr && value->is_array() && value->get_array().size() <= kMostInputs)
      return value->get_array();
    return wants(name, fmt::format("a list of at most {}", kMostInputs)), json::array();
  }
  std::vector<double> numbers(const char* name) {
    std::vector<double> out;
    for (const auto& value : list(name)) {
      if (!is_finite(value) || (!out.empty() && !(value.to_number<double>() > out.back())))
        return wants(name, "a list of ascending numbers"), out;
      out.push_back(value.to_number<double>());
    }
    return out;
  }
  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> out;
    std::set<std::string> seen;
    for (const auto& value : list(name)) {
      if (!value.is_string() || value.get_string().empty() ||
          !seen.insert(json::value_to<std::string>(value)).second)
        return wants(name, "a list of different texts"), out;
      out.push_back(json::value_to<std::string>(value));
    }
    return out;
  }
  void wants(const char* name, const std::string& wanted) {
    if (wrong_.empty()) wrong_ = fmt::format("{}/{} is not {}", where_, name, wanted);
  }
  const std::string& wrong() const { return wrong_; }

 private:
  static bool is_finite(const json::value& value) {
    return value.is_number() && std::isfinite(value.to_number<double>());
  }
  const json::value* find(const char* name) const {
    return object_ == nullptr ? nullptr : object_->if_contains(name);
  }

  const json::object* object_ = nullptr;
  std::string where_, wrong_;
};

}  // namespace

Result<Schema> Schema::parse(std::string_view text) {
  boost::system::error_code error;
  const auto document = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return refused("the schema is not JSON: " + error.message());
  Members top(document, "");
  Schema schema;
  schema.target_ = top.text("target");
  schema.positive_ = top.text("positive");
  if (top.has("offer")) schema.offer_ = top.text("offer");
  if (top.count("version") != kVersion) top.wants("version", fmt::format("{}", kVersion));
  const auto fields = top.list("fields");
  if (!top.wrong().empty()) return refused("schema: " + top.wrong());
  std::set<std::string> names;
  std::uint64_t inputs = 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    Members one(fields[i], fmt::format("/fields/{}", i));
    Field field{.name = one.text("name")};
    const auto kind = one.text("kind");
    if (kind == "number") {
      field.number = true;
      field.edges = one.numbers("edges");
      field.low = one.number("low");
      field.high = one.number("high");
      field.scaled = one.boolean("scaled");
    } else if (kind == "category") {
      field.values = one.texts("values");
      field.pools = one.count("pools");
    } else {
      one.wants("kind", "\"number\" or \"category\"");
    }
    field.missing = one.boolean("missing");
    if (!names.insert(field.name).second) one.wants("name", "a name that no other field has");
    if (!one.wrong().empty()) return refused("schema: " + one.wrong());
    inputs += field.inputs();
    schema.fields_.push_back(std::move(field));
  }
  if (inputs > kMostInputs)
    return refused(fmt::format("schema: {} inputs are more than {}", inputs, kMostInputs));
  return schema;
}

}  // namespace cx::inference::learning
