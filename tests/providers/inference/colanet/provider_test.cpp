#include "providers/inference/colanet/provider.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <doctest/doctest.h>
#include <map>
#include <thread>

#include "tests/providers/inference/colanet/models.hpp"

namespace cx::inference::colanet {
namespace {

using test::Folder;
using test::RandomColumns;

constexpr std::chrono::hours kNever{1};

/// A model file for offers o-1 to o-9, the model's name and contents a function of `seed`.
void publish(const Folder& folder, std::uint64_t seed, const std::string& file = "current") {
  const RandomColumns random(seed, 256, 10);
  const auto hash = write_model(folder.file(file), test::bid_parts_of(random, "m" + std::to_string(seed)));
  REQUIRE_MESSAGE(hash, hash.error().detail);
}

/// The node's offers: o-0 to o-19.
std::vector<std::string> offers() {
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back("o-" + std::to_string(i));
  return ids;
}

std::shared_ptr<ModelHolder> hold(const Folder& folder) {
  auto holder = ModelHolder::open(folder.file("current"), offers(), kNever);
  REQUIRE_MESSAGE(holder, holder.error().detail);
  return std::move(*holder);
}

Item random_item(std::uint64_t seed) {
  Random random(seed);
  Item item;
  for (auto& x : item.features) x = static_cast<float>(random.uniform() * 3 - 1);
  for (int i = 0; i < 32; ++i) item.offers.push_back(random.below(20));
  return item;
}

}  // namespace

TEST_CASE("an offer is scored by its column, and one without by the prior") {
  const Folder folder;
  publish(folder, 1);
  const auto holder = hold(folder);
  ColanetProvider provider(holder);
  CHECK(provider.provider_name() == "cpu/" + Model::open(folder.file("current"))->label());
  CHECK_FALSE(provider.warm_up());

  const auto item = random_item(1);
  const auto scores = provider.predict(item);
  REQUIRE(scores);
  REQUIRE(scores->size() == item.offers.size());
  const auto& model = holder->current()->model;
  Events events;
  encode(item.features, events);
  for (std::size_t i = 0; i < item.offers.size(); ++i) {
    const auto row = item.offers[i];
    const auto column = row >= 1 && row <= 9 ? row : Model::kPrior;  // parts_of
    const auto z = read_out(events, model.columns().column(column), model.columns().inhibition);
    CHECK((*scores)[i] == static_cast<float>(model.calibration().probability(logit(z))));
    CHECK(((*scores)[i] > 0 && (*scores)[i] < 1));
  }
}

TEST_CASE("features beyond [0, 1] count as its ends, and NaN as 0") {
  const Folder folder;
  publish(folder, 2);
  ColanetProvider provider(hold(folder));
  Item wild, tame;
  wild.features.fill(0);
  tame.features.fill(0);
  wild.offers = tame.offers = {0, 1, 2};
  const float values[][2] = {{-1, 0}, {-INFINITY, 0}, {std::nanf(""), 0},
                             {2, 1},  {INFINITY, 1},  {0.5F, 0.5F}};
  for (std::size_t i = 0; i < kFeatures; ++i) {
    wild.features[i] = values[i % std::size(values)][0];
    tame.features[i] = values[i % std::size(values)][1];
  }
  CHECK(*provider.predict(wild) == *provider.predict(tame));
}

TEST_CASE("a batch of 16 gives the bits of 16 items, and a wrong item fails alone") {
  const Folder folder;
  publish(folder, 3);
  ColanetProvider provider(hold(folder));
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 16; ++i) items.push_back(random_item(i));
  items[7].offers.push_back(20);
  items[8].offers.clear();
  const auto batch = provider.predict_batch(items);
  REQUIRE(batch.size() == 16);
  for (std::size_t i = 0; i < 16; ++i) {
    CAPTURE(i);
    REQUIRE(static_cast<bool>(batch[i]) == (i != 7));
    if (batch[i]) CHECK(*batch[i] == *provider.predict(items[i]));
  }
  CHECK(batch[7].error().type == "unknown-offer");
  CHECK(batch[8]->empty());
}

TEST_CASE("a model that cannot be used is no start") {
  const Folder folder;
  const auto refused = [&folder] {
    const auto holder = ModelHolder::open(folder.file("current"), offers(), kNever);
    return holder ? "it is not refused" : holder.error().detail;
  };
  CHECK(refused().find("cannot be read: No such file") != std::string::npos);
  test::write_bytes(folder.file("current"), "something else");
  CHECK(refused().find("it has 14 bytes") != std::string::npos);
  const RandomColumns wide(1, 257, 2);
  REQUIRE(write_model(folder.file("current"), test::parts_of(wide, "wide")));
  CHECK(refused().find("it has 257 inputs, and a bid has 256 features") != std::string::npos);
}

TEST_CASE("a model of another schema than a bid's is no start, and takes no other's place") {
  const Folder folder;
  const RandomColumns random(4, 12, 3);
  const auto write = [&](const std::string& schema, std::uint64_t hash) {
    auto parts = test::parts_of(random, "other");
    parts.schema = schema;
    parts.info.schema_hash = hash;
    REQUIRE(write_model(folder.file("next"), parts));
    std::filesystem::rename(folder.path / "next", folder.path / "current");
  };
  const auto bid = bid_schema(12);
  publish(folder, 1);
  const auto holder = hold(folder);
  std::int64_t refusals = 0;
  const std::string fields = R"({"fields":[]})";
  const std::pair<std::string, std::uint64_t> others[] = {
      {fields, schema_hash(fields)},
      {"", 0},
      {bid_schema(11), schema_hash(bid_schema(11))},  // of another number of features
      {bid, schema_hash(bid) + 1},
      {bid + " ", schema_hash(bid)},
  };
  for (const auto& [schema, hash] : others) {
    CAPTURE(schema);
    write(schema, hash);
    const auto start = ModelHolder::open(folder.file("current"), offers(), kNever);
    REQUIRE_FALSE(start);
    CHECK(start.error().type == "invalid-model");
    CHECK(start.error().detail.find("campaignctl model train --decisions") != std::string::npos);
    CHECK_FALSE(holder->look());
    CHECK(holder->refusals() == ++refusals);
    CHECK(holder->current()->model.name() == "m1");
  }
  write(bid, schema_hash(bid));
  CHECK(holder->look());
  CHECK(holder->current()->model.name() == "other");
}

TEST_CASE("another file at the path takes over, and the old model's memory is given back") {
  const Folder folder;
  publish(folder, 1);
  const auto holder = hold(folder);
  ColanetProvider provider(holder);
  const auto item = random_item(9);
  const auto before = *provider.predict(item);
  const std::weak_ptr<const Served> old = holder->current();
  CHECK_FALSE(holder->look());

  publish(folder, 2);
  CHECK(holder->look());
  CHECK_FALSE(holder->look());
  CHECK(holder->swaps() == 1);
  CHECK(holder->current()->model.name() == "m2");
  CHECK(*provider.predict(item) != before);
  CHECK(provider.provider_name().starts_with("cpu/m2@"));
  CHECK(old.expired());

  publish(folder, 2);  // another file, the same model
  CHECK_FALSE(holder->look());
  CHECK(holder->swaps() == 1);
}

TEST_CASE("a model in use is kept until its last batch is done") {
  const Folder folder;
  publish(folder, 1);
  const auto holder = hold(folder);
  auto batch = holder->current();
  publish(folder, 2);
  REQUIRE(holder->look());
  holder->look();
  CHECK(batch->model.name() == "m1");
  const std::weak_ptr<const Served> old = batch;
  batch.reset();
  CHECK_FALSE(old.expired());  // freed by who looks, not by who scores
  holder->look();
  CHECK(old.expired());
}

TEST_CASE("a bad file is refused once, and the model in use stays") {
  const Folder folder;
  publish(folder, 1);
  const auto holder = hold(folder);
  auto bytes = test::read_bytes(folder.file("current"));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  test::write_bytes(folder.file("bad"), bytes);
  std::filesystem::rename(folder.path / "bad", folder.path / "current");
  for (int i = 0; i < 3; ++i) CHECK_FALSE(holder->look());
  CHECK(holder->refusals() == 1);
  CHECK(holder->current()->model.name() == "m1");

  std::filesystem::remove(folder.path / "current");
  for (int i = 0; i < 3; ++i) CHECK_FALSE(holder->look());
  CHECK(holder->refusals() == 2);
  CHECK(holder->current()->model.name() == "m1");

  publish(folder, 3);
  CHECK(holder->look());
  CHECK(holder->current()->model.name() == "m3");
  CHECK(holder->refusals() == 2);
}

TEST_CASE("a link that is moved to another file changes the model") {
  const Folder folder;
  publish(folder, 1, "1.model");
  publish(folder, 2, "2.model");
  std::filesystem::create_symlink("1.model", folder.path / "current");
  const auto holder = hold(folder);
  CHECK(holder->current()->model.name() == "m1");
  std::filesystem::create_symlink("2.model", folder.path / "next");
  std::filesystem::rename(folder.path / "next", folder.path / "current");
  CHECK(holder->look());
  CHECK(holder->current()->model.name() == "m2");
}

TEST_CASE("the thread looks by itself") {
  const Folder folder;
  publish(folder, 1);
  auto holder = ModelHolder::open(folder.file("current"), offers(), std::chrono::milliseconds(1));
  REQUIRE(holder);
  publish(folder, 2);
  for (int i = 0; i < 10'000 && (*holder)->swaps() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK((*holder)->current()->model.name() == "m2");
}

TEST_CASE("while models change under load, every batch is one model's from its first bit to its last") {
  const Folder folder;
  publish(folder, 1, "1.model");
  publish(folder, 2, "2.model");
  const auto put = [&folder](const char* file) {
    std::filesystem::remove(folder.path / "next");
    std::filesystem::copy_file(folder.path / file, folder.path / "next");
    std::filesystem::rename(folder.path / "next", folder.path / "current");
  };
  const std::vector<Item> items{random_item(1), random_item(2), random_item(3)};
  const auto score = [&items](ColanetProvider& provider) {
    std::vector<Scores> out;
    for (auto& one : provider.predict_batch(items)) out.push_back(std::move(*one));
    return out;
  };
  std::map<std::string, std::vector<Scores>> expected;
  for (const auto* file : {"2.model", "1.model"}) {
    put(file);
    ColanetProvider provider(hold(folder));
    expected[provider.provider_name()] = score(provider);
  }
  REQUIRE(expected.size() == 2);

  const auto holder = hold(folder);
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0}, batches{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      ColanetProvider provider(holder);
      while (!done) {
        const auto scores = score(provider);
        const auto found = expected.find(provider.provider_name());
        if (found == expected.end() || found->second != scores) ++wrong;
        ++batches;
      }
    });
  for (int i = 0; i < 100; ++i) {
    put(i % 2 == 0 ? "2.model" : "1.model");
    CHECK(holder->look());
  }
  done = true;
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(batches > 0);
  CHECK(holder->swaps() == 100);
}

TEST_CASE("metrics tell of swaps and refusals") {
  const Folder folder;
  publish(folder, 1);
  const auto holder = hold(folder);
  Metrics metrics("test");
  holder->add_metrics(metrics);
  publish(folder, 2);
  holder->look();
  test::write_bytes(folder.file("current"), "");
  holder->look();
  const auto text = metrics.prometheus_text();
  for (const auto* line : {"cx_model_swaps_total", "cx_model_refusals_total", "cx_model_columns",
                           "cx_model_created_timestamp_seconds"})
    CHECK_MESSAGE(text.find(line) != std::string::npos, line);
}

}  // namespace cx::inference::colanet
