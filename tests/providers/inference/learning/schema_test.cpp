#include "providers/inference/learning/schema.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <numeric>
#include <set>

#include "runtime/random.hpp"

namespace cx::inference::learning {
namespace {

std::vector<std::uint32_t> all(const Table& table) {
  std::vector<std::uint32_t> rows(table.rows);
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

Table parsed(const std::string& text) {
  auto table = parse_table(text, "t");
  REQUIRE(table);
  return std::move(*table);
}

Schema learnt(const Table& table, const SchemaOptions& options = {}) {
  auto schema = Schema::learn(table, all(table), "y", "", options);
  if (!schema) FAIL(schema.error().detail);
  return std::move(*schema);
}

/// The inputs that are set, of a field from input 0.
std::vector<std::pair<int, float>> set_by(const Field& field, std::string_view word) {
  std::vector<Active> active;
  add_inputs(field, 0, word, active);
  std::vector<std::pair<int, float>> out;
  for (const auto& [input, x] : active) out.emplace_back(input, x);
  return out;
}
using Set = std::vector<std::pair<int, float>>;

/// 1,000 rows: a number, a category of few and one of many values, one with gaps, one that says nothing.
Table mixed() {
  std::string text = "n,few,many,gaps,same,y\n";
  Random random(1);
  for (int i = 0; i < 1'000; ++i)
    text += std::to_string(i) + ',' + "abc"[random.below(3)] + ",v" +
            std::to_string(random.below(60) * random.below(60) / 20) + ',' +
            (i % 7 == 0 ? ""
             : i % 2    ? "1"
                        : "2.0") +
            ",k," + (random.below(2) ? "yes" : "no") + '\n';
  return parsed(text);
}

}  // namespace

TEST_CASE("a number with few values has a bin for each, one with many as many bins of equal rows") {
  const auto table = mixed();
  const auto schema = learnt(table, {.bins = 4});
  REQUIRE(schema.fields().size() == 4);  // `same` is left out
  const auto& n = schema.fields()[0];
  CHECK(n.edges == std::vector<double>{250, 500, 750});
  CHECK(n.scaled);
  CHECK(n.inputs() == 5);
  CHECK(set_by(n, "250") == Set{{1, 1}, {4, 0.25F}});
  CHECK(set_by(n, "249.99").front().first == 0);
  CHECK(set_by(n, "-1e9") == Set{{0, 1}});  // a rank of 0 sets nothing
  CHECK(set_by(n, "1e9") == Set{{3, 1}, {4, 1}});
  CHECK(set_by(n, "").empty());

  const auto& gaps = schema.fields()[3];
  CHECK(gaps.edges == std::vector<double>{1.5});
  CHECK_FALSE(gaps.scaled);
  CHECK(set_by(gaps, "1.0") == Set{{0, 1}});
  CHECK(set_by(gaps, "2") == Set{{1, 1}});
  CHECK(set_by(gaps, "") == Set{{2, 1}});
  CHECK(set_by(gaps, "x") == Set{{2, 1}});  // no number
}

TEST_CASE("a number that most rows share gets a bin of its own") {
  std::string text = "p,y\n";
  for (int i = 0; i < 400; ++i)
    text += (i < 380 ? "999" : std::to_string(i % 20)) + ',' + (i % 2 ? "1" : "0") + '\n';
  const auto schema = learnt(parsed(text), {.bins = 5});
  CHECK(schema.fields()[0].edges == std::vector<double>{999});
}

TEST_CASE(
    "rare values share an input with those that training never saw; without them unseen ones set none") {
  const auto schema = learnt(mixed());
  const auto &few = schema.fields()[1], &many = schema.fields()[2];
  CHECK(few.values.size() == 3);
  CHECK(few.pools == 0);
  CHECK(set_by(few, "never seen").empty());
  CHECK(set_by(few, "").empty());
  CHECK(many.pools == 1);
  CHECK(set_by(many, many.values[2]) == Set{{2, 1}});
  CHECK(set_by(many, "never seen") == Set{{static_cast<int>(many.values.size()), 1}});
}

TEST_CASE("fields share the inputs: wide ones fold their rarer values by a hash") {
  std::string text = "n,wide,narrow,y\n";
  for (int i = 0; i < 6'000; ++i)
    text += std::to_string(i) + ",v" + std::to_string(i % 300) + ',' + "ab"[i / 2 % 2] + ',' +
            (i % 2 ? "1" : "0") + '\n';
  const auto table = parsed(text);
  for (const auto inputs : {10U, 16U, 64U, 256U}) {
    const auto schema = learnt(table, {.inputs = inputs});
    CHECK(schema.inputs() <= inputs);
    CHECK(schema.inputs() + 1 >= inputs);
    const auto& wide = schema.fields()[1];
    CHECK(schema.fields()[2].inputs() == 2);
    std::set<int> used;
    for (int i = 0; i < 300; ++i) {
      const auto active = set_by(wide, "v" + std::to_string(i));
      REQUIRE(active.size() == 1);
      CHECK(active[0].first < static_cast<int>(wide.inputs()));
      used.insert(active[0].first);
    }
    CHECK(used.size() > wide.values.size());  // some of the folded ones, too
  }
  CHECK_FALSE(Schema::learn(table, all(table), "y", "", {.inputs = 9}));
}

TEST_CASE("a schema survives its text, and its hash tells it from others") {
  const auto table = mixed();
  const auto schema = learnt(table);
  const auto again = Schema::parse(schema.json());
  REQUIRE(again);
  CHECK(*again == schema);
  CHECK(again->json() == schema.json());
  CHECK(again->hash() == schema.hash());
  CHECK(learnt(table, {.bins = 9}).hash() != schema.hash());
}

TEST_CASE("a schema that was damaged is refused, never believed") {
  const auto good = learnt(mixed()).json();
  for (std::size_t cut = 0; cut < good.size(); ++cut) CHECK_FALSE(Schema::parse(good.substr(0, cut)));
  Random random(5);
  for (int i = 0; i < 3'000; ++i) {
    auto text = good;
    for (std::uint32_t n = 1 + random.below(3); n > 0; --n)
      text[random.below(static_cast<std::uint32_t>(text.size()))] = static_cast<char>(32 + random.below(95));
    if (const auto schema = Schema::parse(text)) CHECK(schema->inputs() <= 65'535);
  }
  const auto field = [](const std::string& text) {
    const auto schema = Schema::parse(R"({"version":1,"target":"y","positive":"1","fields":[)" + text + "]}");
    return schema ? "" : schema.error().detail;
  };
  CHECK(
      field(R"({"name":"a","kind":"number","edges":[2,1],"low":0,"high":1,"scaled":true,"missing":false})") ==
      "schema: /fields/0/edges is not a list of ascending numbers");
  CHECK(field(R"({"name":"a","kind":"category","values":["x","x"],"pools":0,"missing":false})") ==
        "schema: /fields/0/values is not a list of different texts");
  CHECK(field(R"({"name":"a","kind":"category","values":[],"pools":70000,"missing":false})") ==
        "schema: /fields/0/pools is not a count");
  const std::string big = R"(","kind":"category","values":[],"pools":40000,"missing":false})";
  CHECK(field(R"({"name":"a)" + big + R"(,{"name":"b)" + big) == "schema: 80000 inputs are more than 65535");
}

TEST_CASE("the target is found, or what is wrong with it is said") {
  const auto said = [](const Table& table, const char* target, const char* positive) {
    const auto schema = Schema::learn(table, all(table), target, positive);
    return schema ? "positive: " + schema->positive() : schema.error().detail;
  };
  const auto table = parsed("a,b,c,y,z\n1,r,k,Yes,0\n2,s,k,no,2\n3,t,k,no,1\n1,r,k,no,0\n2,s,k,no,2\n");
  CHECK(said(table, "y", "") == "positive: Yes");
  CHECK(said(table, "y", "no") == "positive: no");
  CHECK(said(table, "y", "maybe") == "no training row has maybe in y: its values are Yes, no");
  CHECK(said(table, "b", "").starts_with("which value of b is the positive one? It has r, s, t"));
  CHECK(said(table, "q", "") == "the table has no column q to forecast");
  CHECK(said(table, "c", "k").starts_with("every training row has k in c"));
  CHECK_FALSE(Schema::learn(table, all(table), "y", "", {.drop = {"nothing"}}));
  CHECK(said(parsed("a,y\n1,1\n1,0\n"), "y", "") == "no column but y differs between the training rows");
}

TEST_CASE(
    "examples are what the schema makes of the rows of another table, whose columns are in another order") {
  const auto schema =
      learnt(parsed("a,b,y\n1,r,1\n2,s,0\n1,r,1\n2,s,0\n1,r,0\n2,s,1\n1,r,1\n2,s,0\n1,r,0\n2,s,1\n"));
  const auto other = parsed("more,y,b,a\n0,0,s,1\n0,1,?,x\n0,,r,1\n");
  const auto two = Examples::of(schema, other, std::vector<std::uint32_t>{1, 0});
  REQUIRE(two);
  CHECK(two->inputs() == 4);
  REQUIRE(two->size() == 2);
  CHECK(std::vector<int>(two->labels().begin(), two->labels().end()) == std::vector<int>{1, 0});
  CHECK(two->row(0).empty());
  std::vector<float> inputs(4, 9);
  two->fill(1, inputs);
  CHECK(inputs == std::vector<float>{1, 0, 0, 1});

  const auto without = Examples::of(schema, other, std::vector<std::uint32_t>{0, 2});
  REQUIRE_FALSE(without);
  CHECK(without.error().detail.starts_with("row 3 below the heads has no value in y"));
  const auto lacking = parsed("y,a\n1,1\n");
  const auto refused = Examples::of(schema, lacking, all(lacking));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail == "the table has no column b, which the model reads");
}

TEST_CASE("a split has every row once and depends on nothing but its seed") {
  const auto parts = split(1'000, 7);
  CHECK(parts.training.size() == 700);
  CHECK(parts.validation.size() == 150);
  CHECK(parts.test.size() == 150);
  std::set<std::uint32_t> seen;
  for (const auto* part : {&parts.training, &parts.validation, &parts.test})
    seen.insert(part->begin(), part->end());
  CHECK(seen.size() == 1'000);
  CHECK(split(1'000, 7).test == parts.test);
  CHECK(split(1'000, 8).test != parts.test);
  CHECK(split(1, 1).test.size() == 1);
}

TEST_CASE("the column that names offers is no input, and survives the schema's text") {
  std::string text = "a,item,y\n";
  for (int i = 0; i < 10; ++i) text += "p,i1,1\nq,i2,0\np,,0\nq,i1,1\n";
  const auto table = parsed(text);
  const auto schema = learnt(table, {.offer = "item"});
  REQUIRE(schema.fields().size() == 1);
  CHECK(schema.offer() == "item");
  const auto read = Schema::parse(schema.json());
  REQUIRE(read);
  CHECK(*read == schema);
  CHECK(read->hash() != learnt(table, {.drop = {"item"}}).hash());
  const auto examples = Examples::of(schema, table, all(table));
  REQUIRE(examples);
  CHECK(examples->offer_ids() == std::vector<std::string>{"i1", "i2"});
  const auto first = examples->offers().first(4);
  CHECK(std::vector(first.begin(), first.end()) == std::vector<std::uint32_t>{0, 1, kNoOffer, 0});
  CHECK_FALSE(Schema::learn(table, all(table), "y", "", {.offer = "other"}));
  CHECK_FALSE(Schema::learn(table, all(table), "y", "", {.offer = "y"}));
  const auto lacks = Examples::of(schema, parsed("a,y\np,1\nq,0\n"), std::vector<std::uint32_t>{0});
  REQUIRE_FALSE(lacks);
  CHECK(lacks.error().detail.find("no column item") != std::string::npos);
  const auto odd = Examples::of(schema, parsed("a,item,y\np,\"i\n\",1\n"), std::vector<std::uint32_t>{0});
  CHECK_FALSE(odd);
}

}  // namespace cx::inference::learning
