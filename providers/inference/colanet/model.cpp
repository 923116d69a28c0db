#include "providers/inference/colanet/model.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>
#include <xxhash.h>

#include "providers/inference/colanet/kernels.hpp"
#include "providers/inference/colanet/layout.hpp"

namespace cx::inference::colanet {
namespace {

using layout::Header;
/// What is wrong with a file, or nothing.
using Problem = std::optional<std::string>;

constexpr std::int64_t kLatest = 253'402'300'799'999;       // the year 9999
constexpr std::int64_t kMaxOffset = std::int64_t{1} << 52;  // far from where sums could overflow

struct File {
  explicit File(int d) : descriptor(d) {}
  File(const File&) = delete;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
  const int descriptor;
};

/// Fills `to` from the file's byte `at` on.
Problem read_all(const File& file, std::span<std::byte> to, std::size_t at) {
  std::size_t done = 0;
  while (done < to.size()) {
    const auto n =
        ::pread(file.descriptor, to.data() + done, to.size() - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return fmt::format("byte {} cannot be read ({}).", at + done, std::generic_category().message(errno));
    if (n == 0)
      return fmt::format("it ends at byte {}, where more is expected: it is being changed.", at + done);
    done += static_cast<std::size_t>(n);
  }
  return std::nullopt;
}

Problem problem_of_start(const Header& header, std::size_t file_size) {
  if (header.magic != layout::kMagic)
    return "it does not begin as a model file does. Give it one that `campaignctl model train` wrote.";
  if (header.version != layout::kVersion || header.reserved != 0 || header.reserved2 != 0)
    return fmt::format(
        "its format is version {}, and this program reads version {}. Train it again with the "
        "campaignctl of this version.",
        header.version, layout::kVersion);
  if (auto problem = layout::problem_of(header)) return problem;
  const auto end = layout::sections_of(header).end;
  if (header.size != end || file_size != end)
    return fmt::format("it has {} bytes, says that it has {}, and what it lists takes {}. Publish it again.",
                       file_size, header.size, end);
  return std::nullopt;
}

Problem problem_of_values(const Header& header) {
  if (!std::isfinite(header.a) || !std::isfinite(header.b))
    return fmt::format("its calibration is a = {}, b = {}, which is no number.", header.a, header.b);
  if (!(header.sampling > 0 && header.sampling <= 1))
    return fmt::format("its sampling rate is {}, and has to be above 0 and at most 1.", header.sampling);
  if (header.inhibition < 0)
    return fmt::format("its inhibition is {}, and has to be 0 or more.", header.inhibition);
  if (header.created_unix_ms < 0 || header.created_unix_ms > kLatest)
    return fmt::format("it was made at {} Unix milliseconds, which is no time of ours.",
                       header.created_unix_ms);
  if (std::any_of(header.zero.begin(), header.zero.end(), [](auto byte) { return byte != 0; }))
    return "bytes 136 to 255 are not all 0.";
  return std::nullopt;
}

Problem problem_of_name(std::string_view name) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (name.find_first_not_of(kAllowed) == name.npos) return std::nullopt;
  return "its name has characters other than A-Z, a-z, 0-9, '.', '_' and '-'.";
}

Problem problem_of_columns(const Columns& columns) {
  const auto in_range = [](std::int16_t w) { return w >= -kMaxWeight && w <= kMaxWeight; };
  for (std::uint32_t c = 0; c < columns.count; ++c) {
    const Column column = columns.column(c);
    if (column.offset > kMaxOffset || column.offset < -kMaxOffset)
      return fmt::format("column {} has the offset {}, beyond 2^52.", c, column.offset);
    if (!std::all_of(column.bias(), column.bias() + kMicro, in_range))
      return fmt::format("column {} has a bias beyond {}.", c, kMaxWeight);
    const auto* weights = column.row(0);
    const auto count = std::size_t{columns.inputs} * kMicro;
    const auto* wrong = std::find_if_not(weights, weights + count, in_range);
    if (wrong != weights + count)
      return fmt::format("column {}, input {} has the weight {}, beyond {}.", c, (wrong - weights) / kMicro,
                         *wrong, kMaxWeight);
  }
  return std::nullopt;
}

/// Computes what the file's golden vectors say, with the kernel that will serve.
Problem problem_of_golden(const std::byte* at, std::uint32_t count, const Columns& columns) {
  std::vector<float> inputs(columns.inputs);
  Events events;
  for (std::uint32_t i = 0; i < count; ++i, at += layout::golden_size(columns.inputs)) {
    std::uint32_t column = 0;
    std::int64_t expected = 0, z = 0;
    std::memcpy(&column, at, sizeof column);
    std::memcpy(&expected, at + 8, sizeof expected);
    std::memcpy(inputs.data(), at + 16, inputs.size() * sizeof(float));
    if (column >= columns.count)
      return fmt::format("golden vector {} is for column {} of {}.", i, column, columns.count);
    encode(inputs, events);
    read_out(events, columns, std::span(&column, 1), std::span(&z, 1));
    if (z != expected)
      return fmt::format(
          "golden vector {} (column {}) gives {} here and {} where the model was made. One of the "
          "two computes wrongly: do not use it.",
          i, column, z, expected);
  }
  return std::nullopt;
}

}  // namespace

namespace layout {

std::optional<std::string> problem_of(const Header& header) {
  if (header.micro != kMicro || header.ticks != kTicks || header.threshold != kThreshold)
    return fmt::format(
        "it is of {} microcolumns, {} ticks and threshold {}; this program runs {}, {} and {}.", header.micro,
        header.ticks, header.threshold, kMicro, kTicks, kThreshold);
  struct Bound {
    const char* what;
    std::uint64_t value, min, max;
  };
  for (const auto& [what, value, min, max] :
       {Bound{"inputs", header.inputs, 1, kMaxInputs}, Bound{"columns", header.columns, 1, kMaxColumns},
        Bound{"characters in its name", header.name_size, 1, kMaxName},
        Bound{"bytes of schema", header.schema_size, 0, kMaxSchema},
        Bound{"offers", header.offers, 0, kMaxColumns}, Bound{"golden vectors", header.golden, 1, kMaxGolden},
        Bound{"bytes of offer ids", header.ids_size, header.offers, header.offers * kMaxOfferId}})
    if (value < min || value > max)
      return fmt::format("it has {} {}; {} to {} are possible.", value, what, min, max);
  return std::nullopt;
}

}  // namespace layout

double Calibration::probability(double logit) const {
  // Beyond these, a float would be 0 or 1.
  const double z = std::clamp(a * logit + b + std::log(sampling), -80.0, 16.0);
  return 1 / (1 + std::exp(-z));
}

/// Reads a file step by step, and stops at the first problem.
class Model::Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  Result<Model> read(std::optional<std::uint64_t> schema_hash) {
    // Not waiting for a writer, should it be a pipe.
    const File file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file.descriptor < 0 || ::fstat(file.descriptor, &status) != 0)
      return Error{
          Code::not_found, "unreadable-model",
          fmt::format("The model {} cannot be read: {}.", path_, std::generic_category().message(errno)), ""};
    if (!S_ISREG(status.st_mode)) return refused("it is not a file.");
    if (auto problem = load(file, static_cast<std::size_t>(status.st_size))) return refused(*problem);
    if (auto problem = check(schema_hash)) return refused(*problem);
    return std::move(model_);
  }

 private:
  Error refused(const std::string& problem) const {
    return {Code::invalid_argument, "invalid-model",
            fmt::format("The model {} cannot be used: {}", path_, problem), ""};
  }

  Problem load(const File& file, std::size_t size) {
    if (size < sizeof header_)
      return fmt::format("it has {} bytes, and its header alone takes {}. Publish it again.", size,
                         sizeof header_);
    if (auto problem = read_all(file, std::as_writable_bytes(std::span(&header_, 1)), 0)) return problem;
    if (auto problem = problem_of_start(header_, size)) return problem;
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fmt::format("there is no memory for its {} bytes.", size);
    model_.memory_.data = {static_cast<std::byte*>(memory), Unmap{size}};
    model_.memory_.size = size;
    (void)::madvise(memory, size, MADV_HUGEPAGE);  // columns are read in no order: fewer misses of the TLB
    if (auto problem = read_all(file, {model_.memory_.data.get(), size}, 0)) return problem;
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): bytes of a file
    if (std::memcmp(&header_, memory, sizeof header_) != 0) return "it is being changed while it is read.";
    (void)::mprotect(memory, size, PROT_READ);
    return std::nullopt;
  }

  Problem check(std::optional<std::uint64_t> schema_hash) {
    const auto* bytes = model_.memory_.data.get();
    model_.hash_ = XXH3_64bits(bytes + layout::kHashedFrom, model_.memory_.size - layout::kHashedFrom);
    if (model_.hash_ != header_.hash)
      return fmt::format(
          "its content has the hash {:016x}, and should have {:016x}: it was damaged on its way. "
          "Publish it again.",
          model_.hash_, header_.hash);
    if (auto problem = problem_of_values(header_)) return problem;
    place(layout::sections_of(header_));
    if (auto problem = problem_of_name(model_.info_.name)) return problem;
    if (schema_hash && *schema_hash != header_.schema_hash)
      return fmt::format(
          "its inputs are made by the schema {:016x}, and {:016x} is wanted. Train it on the same "
          "fields.",
          header_.schema_hash, *schema_hash);
    if (auto problem = problem_of_offers()) return problem;
    if (auto problem = problem_of_columns(model_.columns_)) return problem;
    return problem_of_golden(bytes + layout::sections_of(header_).golden, header_.golden, model_.columns_);
  }

  void place(const layout::Sections& sections) {
    const auto* bytes = model_.memory_.data.get();
    const auto text = [bytes](std::size_t at, std::size_t size) {
      return std::string_view(reinterpret_cast<const char*>(bytes + at), size);
    };
    model_.info_ = {std::string(text(sections.name, header_.name_size)),
                    header_.schema_hash,
                    header_.data_hash,
                    header_.parent,
                    header_.created_unix_ms,
                    {header_.a, header_.b, header_.sampling}};
    model_.schema_ = text(sections.schema, header_.schema_size);
    model_.ids_ = text(sections.ids, header_.ids_size);
    model_.offers_ = header_.offers;
    model_.entries_ = {reinterpret_cast<const std::uint32_t*>(bytes + sections.entries),
                       std::size_t{header_.offers} * 2};
    model_.columns_ = {header_.inputs,
                       header_.columns,
                       header_.inhibition,
                       {reinterpret_cast<const std::int16_t*>(bytes + sections.block),
                        header_.columns * column_size(header_.inputs)},
                       {reinterpret_cast<const std::int64_t*>(bytes + sections.offsets), header_.columns}};
  }

  Problem problem_of_offers() const {
    std::uint32_t begin = 0;
    std::string_view before;
    for (std::uint32_t i = 0; i < header_.offers; ++i) {
      const auto end = model_.entries_[2 * i], column = model_.entries_[2 * i + 1];
      if (end <= begin || end > header_.ids_size || end - begin > kMaxOfferId)
        return fmt::format("the id of offer {} goes from byte {} to {} of {}.", i, begin, end,
                           header_.ids_size);
      const auto id = model_.ids_.substr(begin, end - begin);
      if (std::any_of(id.begin(), id.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }))
        return fmt::format("the id of offer {} has control characters.", i);
      if (id <= before)
        return fmt::format(
            "offer {} ('{}') does not come after '{}', as it has to: ids are sorted and each is "
            "there once.",
            i, id, before);
      if (column == kPrior || column >= header_.columns)
        return fmt::format("offer '{}' has column {}; 1 to {} are offers'.", id, column, header_.columns - 1);
      before = id;
      begin = end;
    }
    if (begin == header_.ids_size) return std::nullopt;
    return fmt::format("the ids of its offers end at byte {} of {}.", begin, header_.ids_size);
  }

  const std::string& path_;
  Header header_;
  Model model_;
};

void Model::Unmap::operator()(std::byte* p) const {
  ::munmap(p, size);
}

Result<Model> Model::open(const std::string& path, std::optional<std::uint64_t> schema_hash) {
  return Reader(path).read(schema_hash);
}

std::string Model::label() const {
  return fmt::format("{}@{:08x}", info_.name, hash_ >> 32);
}

OfferColumn Model::offer(std::uint32_t index) const {
  const auto begin = index == 0 ? 0 : entries_[2 * (index - 1)];
  return {ids_.substr(begin, entries_[2 * index] - begin), entries_[2 * index + 1]};
}

std::optional<std::uint32_t> Model::column_of(std::string_view id) const {
  std::uint32_t low = 0, high = offers_;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    if (offer(middle).id < id)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == offers_ || offer(low).id != id) return std::nullopt;
  return offer(low).column;
}

}  // namespace cx::inference::colanet
