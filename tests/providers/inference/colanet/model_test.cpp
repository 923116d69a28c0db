#include "providers/inference/colanet/model.hpp"

#include <cmath>
#include <cstring>
#include <doctest/doctest.h>
#include <limits>
#include <sys/stat.h>
#include <xxhash.h>

#include "providers/inference/colanet/kernels.hpp"
#include "providers/inference/colanet/layout.hpp"
#include "tests/providers/inference/colanet/models.hpp"

namespace cx::inference::colanet {
namespace {

using test::Folder;
using test::RandomColumns;

/// A small model's bytes, and what becomes of changed ones.
struct Small {
  Small() {
    const RandomColumns random(1, 3, 4);
    REQUIRE(write_model(file, test::parts_of(random, "small")));
    bytes = test::read_bytes(file);
    std::memcpy(&header, bytes.data(), sizeof header);
    at = layout::sections_of(header);
  }

  Result<Model> open(const std::string& changed) const {
    test::write_bytes(file, changed);
    return Model::open(file);
  }

  /// Why a file is refused whose byte `where` on is `value`, and whose hash fits.
  template <class T>
  std::string refusal(std::size_t where, T value) const {
    const auto model = open(with(where, value));
    return model ? "it is not refused" : model.error().detail;
  }

  template <class T>
  std::string with(std::size_t where, T value) const {
    std::string changed = bytes;
    std::memcpy(changed.data() + where, &value, sizeof value);
    return sealed(std::move(changed));
  }

  static std::string sealed(std::string changed) {
    const std::uint64_t hash =
        XXH3_64bits(changed.data() + layout::kHashedFrom, changed.size() - layout::kHashedFrom);
    std::memcpy(changed.data() + offsetof(layout::Header, hash), &hash, sizeof hash);
    return changed;
  }

  Folder folder;
  std::string file = folder.file("small.model");
  std::string bytes;
  layout::Header header;
  layout::Sections at{};
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("what was written is what is read") {
  const Folder folder;
  for (const std::uint32_t inputs : {1U, 2U, 3U, 64U, 255U, 256U, 300U}) {
    const RandomColumns random(inputs, inputs, 5);
    auto parts = test::parts_of(random, "round-trip_1.0");
    parts.offers = {{"zebra", 2}, {"a", 4}, {"ab", 1}, {"Ärger", 1}};
    parts.examples = {std::vector<float>(inputs, 0.3F), std::vector<float>(inputs, std::nanf(""))};
    const auto hash = write_model(folder.file("m"), parts);
    REQUIRE_MESSAGE(hash, hash.error().detail);
    const auto model = Model::open(folder.file("m"), 11);
    REQUIRE_MESSAGE(model, model.error().detail);
    CHECK(model->hash() == *hash);
    CHECK(model->name() == "round-trip_1.0");
    CHECK(model->label().size() == model->name().size() + 9);
    CHECK(model->schema() == parts.schema);
    CHECK(model->info().schema_hash == 11);
    CHECK(model->info().data_hash == 12);
    CHECK(model->info().parent == 13);
    CHECK(model->info().created_unix_ms == parts.info.created_unix_ms);
    CHECK(model->calibration().a == 0.9);
    CHECK(model->calibration().b == -0.5);
    CHECK(model->calibration().sampling == 0.25);
    CHECK(model->offers() == 4);
    for (const auto& [id, column] : parts.offers) CHECK(model->column_of(id) == column);
    for (const auto* unknown : {"", "b", "aa", "zebras", "\xff"}) CHECK_FALSE(model->column_of(unknown));
    const auto& columns = model->columns();
    CHECK(columns.inputs == inputs);
    CHECK(columns.inhibition == 200);
    CHECK(std::equal(columns.block.begin(), columns.block.end(), random.block.begin(), random.block.end()));
    CHECK(std::equal(columns.offsets.begin(), columns.offsets.end(), random.offsets.begin(),
                     random.offsets.end()));
    CHECK(reinterpret_cast<std::uintptr_t>(columns.block.data()) % kAlignment == 0);
  }
}

TEST_CASE("a file cut short anywhere, or with anything behind it, is refused") {
  const Small small;
  REQUIRE(small.open(small.bytes));
  for (std::size_t size = 0; size < small.bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(small.open(small.bytes.substr(0, size)));
  }
  CHECK_FALSE(small.open(small.bytes + '\0'));
  CHECK_FALSE(small.open(small.bytes + small.bytes));
}

TEST_CASE("a file with a byte flipped anywhere is refused") {
  const Small small;
  for (std::size_t i = 0; i < small.bytes.size(); ++i)
    for (const int bits : {0x01, 0x80, 0xff}) {
      CAPTURE(i);
      std::string changed = small.bytes;
      changed[i] = static_cast<char>(changed[i] ^ bits);
      CHECK_FALSE(small.open(changed));
    }
}

TEST_CASE("a file made to harm, with a hash that fits, is refused or scores within bounds") {
  const Small small;
  std::size_t opened = 0;
  const auto try_it = [&](const std::string& changed) {
    const auto model = small.open(Small::sealed(changed));
    if (!model) return;
    ++opened;
    Events events;
    encode(std::vector<float>(model->columns().inputs, 1), events);
    for (std::uint32_t c = 0; c < model->columns().count; ++c) {
      std::int64_t z = 0;
      read_out(events, model->columns(), std::span(&c, 1), std::span(&z, 1));
      const double p = model->calibration().probability(logit(z));
      CHECK((p > 0 && p < 1));
    }
    for (std::uint32_t i = 0; i < model->offers(); ++i)
      CHECK(model->column_of(model->offer(i).id) == model->offer(i).column);
  };
  for (std::size_t i = 0; i < small.bytes.size(); ++i)
    for (const int value : {0x00, 0x7f, 0xff}) {
      std::string changed = small.bytes;
      changed[i] = static_cast<char>(value);
      try_it(changed);
    }
  Random random(5);
  for (int round = 0; round < 1000; ++round) {  // sizes and counts, several at once
    std::string changed = small.bytes;
    for (auto n = 1 + random.below(3); n > 0; --n) {
      const std::size_t at = 32 + 4 * random.below(26);
      const std::uint32_t value = random.below(3) == 0 ? 0xffffffffU : random.below(70'000);
      std::memcpy(changed.data() + at, &value, sizeof value);
    }
    try_it(changed);
  }
  CHECK(opened > 0);  // another name or calibration is no harm
}

TEST_CASE("a refusal says what is wrong and where") {
  const Small small;
  using layout::Header;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  CHECK(has(small.refusal(0, 'X'), "does not begin as a model file does"));
  CHECK(has(small.refusal(0, 'X'), small.file));
  CHECK(has(small.refusal(offsetof(Header, version), 2U), "version 2, and this program reads version 1"));
  CHECK(has(small.refusal(offsetof(Header, micro), 8U), "8 microcolumns"));
  CHECK(has(small.refusal(offsetof(Header, inputs), 0U), "0 inputs; 1 to 65535"));
  CHECK(has(small.refusal(offsetof(Header, inputs), 0xffffffffU), "4294967295 inputs"));
  CHECK(has(small.refusal(offsetof(Header, columns), 5'000'000U), "5000000 columns"));
  CHECK(has(small.refusal(offsetof(Header, columns), 5U), "what it lists takes"));
  CHECK(has(small.refusal(offsetof(Header, size), 7U), "says that it has 7"));
  CHECK(has(small.refusal(offsetof(Header, golden), 0U), "0 golden vectors"));
  CHECK(has(small.refusal(offsetof(Header, ids_size), ~std::uint64_t{0}), "bytes of offer ids"));
  CHECK(has(small.refusal(offsetof(Header, a), kNan), "calibration"));
  CHECK(has(small.refusal(offsetof(Header, sampling), 0.0), "sampling rate is 0"));
  CHECK(has(small.refusal(offsetof(Header, sampling), kNan), "sampling rate"));
  CHECK(has(small.refusal(offsetof(Header, inhibition), std::int16_t{-1}), "inhibition is -1"));
  CHECK(has(small.refusal(offsetof(Header, created_unix_ms), std::int64_t{-1}), "Unix milliseconds"));
  CHECK(has(small.refusal(offsetof(Header, zero), 'X'), "bytes 136 to 255"));
  CHECK(has(small.refusal(small.at.name, '/'), "its name has characters"));
  CHECK(has(small.refusal(small.at.entries, 0U), "the id of offer 0 goes from byte 0 to 0"));
  CHECK(has(small.refusal(small.at.entries, 1000U), "the id of offer 0"));
  CHECK(has(small.refusal(small.at.entries + 4, 0U), "offer 'o-1' has column 0; 1 to 3"));
  CHECK(has(small.refusal(small.at.entries + 4, 4U), "offer 'o-1' has column 4"));
  CHECK(has(small.refusal(small.at.ids, 'z'), "does not come after 'z-1'"));
  CHECK(has(small.refusal(small.at.ids, '\n'), "control characters"));
  CHECK(has(small.refusal(small.at.offsets + 8, std::int64_t{1} << 53), "column 1 has the offset"));
  CHECK(has(small.refusal(small.at.block, std::int16_t{1024}), "column 0 has a bias beyond 1023"));
  const auto second = small.at.block + column_size(3) * 2;
  CHECK(has(small.refusal(second + 4 * 32, std::int16_t{-1024}), "column 1, input 2 has the weight -1024"));
  CHECK(has(small.refusal(small.at.golden, 4U), "golden vector 0 is for column 4 of 4"));
  CHECK(has(small.refusal(small.at.golden + 8, std::int64_t{1}), "golden vector 0 (column 0) gives"));
  auto damaged = small.bytes;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  CHECK(has(small.open(damaged).error().detail, "it was damaged on its way"));
  REQUIRE(small.open(small.bytes));
  CHECK(has(Model::open(small.file, 99).error().detail, "made by the schema 000000000000000b"));
  CHECK(Model::open(small.folder.file("none")).error().type == "unreadable-model");
  CHECK(has(Model::open(small.folder.path.string()).error().detail, "it is not a file"));
  REQUIRE(::mkfifo(small.folder.file("pipe").c_str(), 0600) == 0);
  CHECK(has(Model::open(small.folder.file("pipe")).error().detail, "it is not a file"));
}

TEST_CASE("what cannot be a model is not written, and what was there stays") {
  const Folder folder;
  const auto path = folder.file("m");
  RandomColumns random(3, 8, 3);
  REQUIRE(write_model(path, test::parts_of(random, "kept")));
  const auto refused = [&](auto change, std::string_view why) {
    auto parts = test::parts_of(random, "bad");
    change(parts);
    const auto hash = write_model(path, parts);
    REQUIRE_FALSE(hash);
    CHECK_MESSAGE(has(hash.error().detail, why), hash.error().detail);
  };
  refused([](ModelParts& p) { p.info.name = ""; }, "0 characters in its name");
  refused([](ModelParts& p) { p.info.name = std::string(5000, 'x'); }, "characters in its name");
  refused([](ModelParts& p) { p.info.name = "a b"; }, "its name has characters");
  refused([](ModelParts& p) { p.columns.count = 4; }, "4 columns of 8 inputs take");
  refused([](ModelParts& p) { p.columns.inputs = 70'000; }, "70000 inputs");
  refused([](ModelParts& p) { p.columns.offsets = {}; }, "0.");
  refused([](ModelParts& p) { p.examples = {{1.0F}}; }, "an example has 1 inputs");
  refused([](ModelParts& p) { p.examples.assign(1001, std::vector<float>(8)); }, "1001 examples");
  refused([](ModelParts& p) { p.examples.assign(5000, std::vector<float>(8)); }, "golden vectors");
  refused([](ModelParts& p) { p.offers.emplace_back("o-1", 2); }, "does not come after");
  refused([](ModelParts& p) { p.offers.emplace_back("", 2); }, "0 bytes");
  refused([](ModelParts& p) { p.offers.emplace_back(std::string(256, 'x'), 2); }, "256 bytes");
  refused([](ModelParts& p) { p.offers.emplace_back("x", 3); }, "'x' has column 3");
  refused([](ModelParts& p) { p.info.calibration.sampling = 2; }, "sampling rate is 2");
  CHECK(Model::open(path)->name() == "kept");
  random.block[40] = 1024;
  refused([](ModelParts&) {}, "beyond 1023");
  CHECK(Model::open(path)->name() == "kept");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) ==
        1);  // nothing temporary is left
  CHECK_FALSE(write_model(folder.file("no/such/folder"), test::parts_of(random, "x")));
}

TEST_CASE("a probability is never 0 or 1, and corrects for what sampling left out") {
  const Calibration plain;
  CHECK(plain.probability(0) == doctest::Approx(0.5));
  CHECK(plain.probability(std::log(3.0)) == doctest::Approx(0.75));
  for (const double extreme : {-1e300, -1e9, -200.0, 17.0, 1e9, 1e300}) {
    const auto p = static_cast<float>(Calibration{1e300, -1e300, 1e-300}.probability(extreme));
    CHECK((p > 0 && p < 1));
    const auto q = static_cast<float>(plain.probability(extreme));
    CHECK((q > 0 && q < 1));
  }
  // Of 100 without a click a tenth was kept: 1 click in 11 examples was 1 in 101.
  const Calibration sampled{1, 0, 0.1};
  CHECK(sampled.probability(std::log(1.0 / 10)) == doctest::Approx(1.0 / 101));
}

}  // namespace cx::inference::colanet
