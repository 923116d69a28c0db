#include "providers/inference/colanet/writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <xxhash.h>

#include "providers/inference/colanet/layout.hpp"
#include "runtime/random.hpp"

namespace cx::inference::colanet {
namespace {

using Inputs = std::vector<float>;

constexpr std::size_t kRandomVectors = 4;
constexpr std::size_t kMaxExamples = 1000;

Error invalid(const std::string& path, const std::string& why) {
  return {Code::invalid_argument, "invalid-model", fmt::format("The model {} was not written: {}", path, why),
          ""};
}

Error unwritten(const std::string& path) {
  return {Code::internal, "unwritten-model",
          fmt::format("The model {} cannot be written: {}.", path, std::generic_category().message(errno)),
          ""};
}

/// Nothing fires, everything does, all rates at once, and some by chance: whatever the model, its golden
/// vectors use every part of a kernel.
std::vector<Inputs> standard_vectors(std::uint32_t inputs) {
  std::vector<Inputs> out{Inputs(inputs, 0.0F), Inputs(inputs, 1.0F), Inputs(inputs)};
  for (std::uint32_t i = 0; i < inputs; ++i)
    out.back()[i] = static_cast<float>(i + 1) / static_cast<float>(inputs);
  Random random(inputs);
  for (std::size_t n = 0; n < kRandomVectors; ++n) {
    auto& some = out.emplace_back(inputs, 0.0F);
    for (auto& x : some)
      if (random.below(8) == 0) x = random.below(2) == 0 ? 1.0F : static_cast<float>(random.uniform());
  }
  return out;
}

/// The bytes of a file.
class Builder {
 public:
  explicit Builder(const layout::Header& header)
      : header_(header), sections_(layout::sections_of(header)), bytes_(sections_.end) {}

  void put(std::size_t at, const void* data, std::size_t size) {
    if (size > 0) std::memcpy(bytes_.data() + at, data, size);
  }

  void put_offers(const std::vector<std::pair<std::string, std::uint32_t>>& sorted) {
    std::uint32_t end = 0;
    std::size_t i = 0;
    for (const auto& [id, column] : sorted) {
      put(sections_.ids + end, id.data(), id.size());
      end += static_cast<std::uint32_t>(id.size());
      const std::uint32_t entry[] = {end, column};
      put(sections_.entries + 8 * i++, entry, sizeof entry);
    }
  }

  /// The vectors go to columns from the first to the last, spread evenly.
  void put_golden(const std::vector<Inputs>& vectors, const Columns& columns) {
    Events events;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      const auto column = static_cast<std::uint32_t>(i * columns.count / vectors.size());
      encode(vectors[i], events);
      const std::int64_t z = read_out(events, columns.column(column), columns.inhibition);
      const auto at = sections_.golden + i * layout::golden_size(columns.inputs);
      put(at, &column, sizeof column);
      put(at + 8, &z, sizeof z);
      put(at + 16, vectors[i].data(), vectors[i].size() * sizeof(float));
    }
  }

  const layout::Sections& sections() const { return sections_; }

  /// Puts the header, with size and hash.
  const std::vector<char>& finish() {
    header_.size = bytes_.size();
    put(0, &header_, sizeof header_);
    header_.hash = XXH3_64bits(bytes_.data() + layout::kHashedFrom, bytes_.size() - layout::kHashedFrom);
    put(0, &header_, sizeof header_);
    return bytes_;
  }

 private:
  layout::Header header_;
  layout::Sections sections_;
  std::vector<char> bytes_;
};

layout::Header header_of(const ModelParts& parts, std::size_t golden) {
  layout::Header header;
  header.inputs = parts.columns.inputs;
  header.columns = parts.columns.count;
  header.inhibition = parts.columns.inhibition;
  header.schema_hash = parts.info.schema_hash;
  header.data_hash = parts.info.data_hash;
  header.parent = parts.info.parent;
  header.created_unix_ms = parts.info.created_unix_ms;
  header.a = parts.info.calibration.a;
  header.b = parts.info.calibration.b;
  header.sampling = parts.info.calibration.sampling;
  header.name_size = static_cast<std::uint32_t>(std::min(parts.info.name.size(), kMaxName + 1));
  header.schema_size = static_cast<std::uint32_t>(std::min(parts.schema.size(), kMaxSchema + 1));
  header.offers = static_cast<std::uint32_t>(std::min<std::size_t>(parts.offers.size(), kMaxColumns + 1));
  header.golden = static_cast<std::uint32_t>(golden);
  for (const auto& [id, column] : parts.offers) header.ids_size += id.size();
  return header;
}

/// What would not fit the format's counts; everything else is found when the file is opened.
std::optional<std::string> problem_of(const ModelParts& parts, const layout::Header& header) {
  if (auto problem = layout::problem_of(header)) return problem;
  const auto& columns = parts.columns;
  if (columns.offsets.size() != columns.count ||
      columns.block.size() != columns.count * column_size(columns.inputs))
    return fmt::format("{} columns of {} inputs take {} numbers and {} offsets; there are {} and {}.",
                       columns.count, columns.inputs, columns.count * column_size(columns.inputs),
                       columns.count, columns.block.size(), columns.offsets.size());
  if (parts.examples.size() > kMaxExamples)
    return fmt::format("it has {} examples; at most {} are possible.", parts.examples.size(), kMaxExamples);
  for (const auto& example : parts.examples)
    if (example.size() != columns.inputs)
      return fmt::format("an example has {} inputs, and the model has {}.", example.size(), columns.inputs);
  for (const auto& [id, column] : parts.offers)
    if (id.empty() || id.size() > kMaxOfferId)
      return fmt::format("the id of an offer has {} bytes; 1 to {} are possible.", id.size(), kMaxOfferId);
  return std::nullopt;
}

/// A file that is gone at the end, unless it was renamed.
class Temporary {
 public:
  explicit Temporary(const std::string& path)
      : name_(path + ".XXXXXX"), descriptor_(::mkostemp(name_.data(), O_CLOEXEC)) {}
  Temporary(const Temporary&) = delete;
  ~Temporary() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!renamed_) ::unlink(name_.c_str());
  }

  const std::string& name() const { return name_; }

  /// Everything, on disk. Models are no secret: everybody may read them.
  bool write(const std::vector<char>& bytes) const {
    if (descriptor_ < 0) return false;
    for (std::size_t done = 0; done < bytes.size();) {
      const auto n = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno != EINTR) return false;
      if (n > 0) done += static_cast<std::size_t>(n);
    }
    return ::fchmod(descriptor_, 0644) == 0 && ::fsync(descriptor_) == 0;
  }

  /// Takes the name's place, for good.
  bool rename_to(const std::string& path) {
    if (::rename(name_.c_str(), path.c_str()) != 0) return false;
    renamed_ = true;
    const auto folder = std::filesystem::path(path).parent_path();
    const int directory = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return false;
    const bool synced = ::fsync(directory) == 0;
    ::close(directory);
    return synced;
  }

 private:
  std::string name_;
  int descriptor_;
  bool renamed_ = false;
};

}  // namespace

Result<std::uint64_t> write_model(const std::string& path, const ModelParts& parts) {
  const auto header = header_of(parts, parts.examples.size() + 3 + kRandomVectors);
  if (const auto problem = problem_of(parts, header)) return invalid(path, *problem);
  auto vectors = standard_vectors(parts.columns.inputs);
  vectors.insert(vectors.end(), parts.examples.begin(), parts.examples.end());
  auto offers = parts.offers;
  std::sort(offers.begin(), offers.end());

  Builder file(header);
  const auto& at = file.sections();
  file.put(at.name, parts.info.name.data(), parts.info.name.size());
  file.put(at.schema, parts.schema.data(), parts.schema.size());
  file.put_offers(offers);
  file.put(at.offsets, parts.columns.offsets.data(), parts.columns.offsets.size_bytes());
  file.put(at.block, parts.columns.block.data(), parts.columns.block.size_bytes());
  file.put_golden(vectors, parts.columns);

  Temporary temporary(path);
  if (!temporary.write(file.finish())) return unwritten(path);
  const auto model = Model::open(temporary.name());  // what nobody could open takes nothing's place
  if (!model) return invalid(path, model.error().detail);
  if (!temporary.rename_to(path)) return unwritten(path);
  return model->hash();
}

}  // namespace cx::inference::colanet
