// What is particular to the journal of a cluster; what every journal does is in contract_test.cpp.

#include <algorithm>
#include <atomic>
#include <doctest/doctest.h>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "tests/runtime/journal/homes.hpp"

namespace cx::test {
namespace {

using namespace std::chrono_literals;

/// Waits for what has to come; a test that waits for ever is stopped by its runner.
template <class Condition>
void await(const Condition& condition) {
  while (!condition()) std::this_thread::sleep_for(1ms);
}

/// Appends numbered records to one shard for as long as it is told to, opening it again after every failure,
/// and keeps what was acknowledged.
struct Writer {
  Journal& journal;
  std::uint32_t shard;
  std::string name;
  std::vector<std::pair<std::uint64_t, std::string>> acknowledged;  // sequence, record
  std::vector<std::string> refused;                                 // fenced: must not be there
  int failures = 0;

  void run(const std::function<bool()>& more, std::size_t size = 0) {
    int number = 0;
    Head head;
    bool open = false;
    while (more()) {
      if (!open) {
        const auto opened = journal.open(std::span(&shard, 1), std::nullopt)[0];
        if (!opened) continue;
        head = *opened;
        open = true;
      }
      const std::string record = name + ":" + std::to_string(number++) + std::string(size, '.');
      const std::string outcome = append_one(journal, append_of(shard, head, {record}));
      if (outcome == "") {
        acknowledged.emplace_back(++head.last, record);
        continue;
      }
      ++failures;
      if (outcome == "fenced") refused.push_back(record);
      open = false;
    }
  }
};

/// Everything that was acknowledged is there once, where it was said to be; nothing that was refused is.
void check_log(const Journal& journal, std::uint32_t shard, const std::vector<const Writer*>& writers) {
  const auto records = records_of(journal, shard);
  std::set<std::string> all;
  for (std::size_t i = 0; i < records.size(); ++i) {
    CHECK(records[i].first == i + 1);
    CHECK(all.insert(records[i].second).second);
  }
  std::size_t acknowledged = 0;
  for (const auto* writer : writers) {
    for (const auto& [sequence, record] : writer->acknowledged) {
      REQUIRE(sequence <= records.size());
      CHECK(records[sequence - 1].second == record);
    }
    for (const auto& record : writer->refused) CHECK_FALSE(all.contains(record));
    acknowledged += writer->acknowledged.size();
  }
  CHECK(acknowledged <= records.size());
}

NatsServerOptions small_messages() {
  NatsServerOptions options;
  options.more = "max_payload: 65536\n";
  return options;
}

}  // namespace

TEST_CASE("whoever opens a shard last can write to it, and what the others thought they had is fenced") {
  const auto cluster = new_cluster();
  JetStreamNode a(shared_server().config(), cluster), b(shared_server().config(), cluster);
  a.open(), b.open();
  Head mine = open_one(a.journal(), 1);
  CHECK(append_one(a.journal(), append_of(1, mine, {"1"})) == "");
  mine.last = 1;
  const Head theirs = open_one(b.journal(), 1);
  CHECK(theirs == Head{2, 1, 1});
  CHECK(append_one(a.journal(), append_of(1, mine, {"lost"})) == "fenced");
  CHECK(append_one(b.journal(), append_of(1, theirs, {"2"})) == "");
  const std::uint32_t shard = 1;
  CHECK(type_of(a.journal().open(std::span(&shard, 1), 1)[0]) == "fenced");
  for (auto* node : {&a, &b}) {
    await_head(node->journal(), 1, 2);
    CHECK(records_of(node->journal(), 1) == Records{{1, "1"}, {2, "2"}});
  }
}

TEST_CASE("writers that race for a shard never write over each other") {
  const auto cluster = new_cluster();
  std::vector<std::unique_ptr<JetStreamNode>> nodes;
  std::vector<Writer> writers;
  for (int i = 0; i < 3; ++i) {
    nodes.push_back(std::make_unique<JetStreamNode>(shared_server().config(), cluster));
    writers.push_back({nodes.back()->open(), 3, std::string(1, static_cast<char>('a' + i)), {}, {}});
  }
  std::atomic<int> done = 0;
  {
    std::vector<std::jthread> threads;
    for (auto& writer : writers)
      threads.emplace_back([&] {
        int tries = 0;
        writer.run([&] { return ++tries <= 150; });
        ++done;
      });
  }
  JetStreamNode reader(shared_server().config(), cluster);
  reader.open();
  std::vector<const Writer*> all;
  for (const auto& writer : writers) all.push_back(&writer);
  check_log(reader.journal(), 3, all);
  for (auto& node : nodes) {
    await_head(node->journal(), 3, reader.journal().head(3)->last);
    CHECK(records_of(node->journal(), 3) == records_of(reader.journal(), 3));
  }
}

TEST_CASE("what the server has is in the log once, whatever becomes of its answers") {
  NatsServer server;
  for (const auto patience : {20'000ms, 50ms}) {  // the outcome is waited for, or found out by opening again
    CAPTURE(patience.count());
    const auto cluster = new_cluster();
    JetStreamNode node(server.config(), cluster, {.timeout = 150ms, .patience = patience});
    node.open();
    Writer writer{node.journal(), 5, "w", {}, {}};
    std::atomic<bool> stop = false;
    {
      std::jthread thread([&] { writer.run([&] { return !stop; }); });
      for (int round = 0; round < 4; ++round) {
        std::this_thread::sleep_for(60ms);
        server.pause();
        std::this_thread::sleep_for(round % 2 == 0 ? 50ms : 400ms);  // below and above the timeout
        server.resume();
        std::this_thread::sleep_for(60ms);
        server.kill();
        server.start();
      }
      std::this_thread::sleep_for(200ms);
      stop = true;
    }
    CHECK(writer.acknowledged.size() > 0);
    CHECK(writer.refused.empty());  // nobody else writes
    if (patience > 1s) CHECK(writer.failures == 0);
    const auto last = open_one(node.journal(), 5).last;
    check_log(node.journal(), 5, {&writer});
    JetStreamNode cold(server.config(), cluster);
    CHECK(records_of(cold.open(), 5).size() == last);
  }
}

TEST_CASE("an append that is larger than the server takes is there whole or not at all") {
  NatsServer server(small_messages());
  const auto cluster = new_cluster();
  JetStreamNode a(server.config(), cluster), b(server.config(), cluster);
  a.open(), b.open();
  SUBCASE("a part that came before somebody opened the shard is void") {
    const Head head = open_one(a.journal(), 1);
    auto last = a.jetstream().last(a.stream(), a.subject(1));
    REQUIRE(last);
    v1::ShardEntry whole, part;
    whole.mutable_commit()->add_records("x");
    part.set_epoch(head.epoch);
    part.set_attempt(77);
    part.set_previous(last->sequence);
    part.set_parts(2);
    part.set_slice(whole.SerializeAsString().substr(0, 2));
    const auto first = a.jetstream().publish(a.subject(1), part.SerializeAsString(), {}, last->sequence);
    REQUIRE(first);
    const Head theirs = open_one(b.journal(), 1);
    part.set_part(1);
    part.set_previous(*first);
    part.set_slice(whole.SerializeAsString().substr(2));
    CHECK(type_of(a.jetstream().publish(a.subject(1), part.SerializeAsString(), {}, *first)) ==
          "wrong-last-sequence");
    CHECK(append_one(b.journal(), append_of(1, theirs, {"b"})) == "");
    await_head(a.journal(), 1, 1);
    for (auto* node : {&a, &b}) CHECK(records_of(node->journal(), 1) == Records{{1, "b"}});
  }
  SUBCASE("races") {
    std::vector<Writer> writers = {{a.journal(), 2, "a", {}, {}}, {b.journal(), 2, "b", {}, {}}};
    {
      std::vector<std::jthread> threads;
      for (auto& writer : writers)
        threads.emplace_back([&] {
          int tries = 0;
          writer.run([&] { return ++tries <= 30; }, 300'000);
        });
    }
    JetStreamNode reader(server.config(), cluster);
    reader.open();
    check_log(reader.journal(), 2, {&writers[0], &writers[1]});
    await_head(a.journal(), 2, reader.journal().head(2)->last);
    CHECK(records_of(a.journal(), 2) == records_of(reader.journal(), 2));
  }
}

TEST_CASE("a shard's messages are purged behind a checkpoint, and nodes that missed them go on from it") {
  const auto cluster = new_cluster();
  const auto config = shared_server().config();
  JetStreamNode a(config, cluster), late(config, cluster), never(config, cluster);
  Head head = open_one(a.open(), 4);
  open_one(a.journal(), 5);
  const auto add = [&](int n) {
    for (int i = 0; i < n; ++i) {
      REQUIRE(append_one(a.journal(), append_of(4, head, {"r" + std::to_string(head.last + 1)},
                                                {{Table::snapshots, "s", std::to_string(head.last)}})) == "");
      ++head.last;
    }
  };
  add(10);
  late.open();
  late.close();
  add(10);
  const Write base{Table::bases, "b", "as of 8"};
  CHECK_FALSE(a.journal().truncate(4, 8, std::span(&base, 1)));
  const auto state = a.jetstream().state(a.stream(), a.subject(4));
  REQUIRE(state);
  CHECK(state->messages == 1);  // the fence
  add(5);
  CHECK_FALSE(a.journal().truncate(4, 12, std::span(&base, 1)));
  const auto wanted = records_of(a.journal(), 4);
  REQUIRE(wanted.size() == 13);
  const auto fresh = a.jetstream().state(cluster + "_checkpoints");
  REQUIRE(fresh);
  CHECK(fresh->messages == 2);  // one part, and what names it; the older one is gone
  for (auto* node : {&late, &never}) {
    node->open();
    CHECK(*node->journal().head(4) == Head{1, 13, 25});
    CHECK(records_of(node->journal(), 4) == wanted);
    CHECK(row_of(node->journal(), Table::snapshots, 4, "s") == "24");
    CHECK(row_of(node->journal(), Table::bases, 4, "b") == "as of 8");
    CHECK(node->journal().head(5)->epoch == 1);
  }
  add(1);
  for (auto* node : {&late, &never}) {
    await_head(node->journal(), 4, 26);
    node->open();
    CHECK(node->journal().head(4)->last == 26);
  }
  CHECK(open_one(never.journal(), 4) == Head{2, 13, 26});
  CHECK(append_one(a.journal(), append_of(4, head, {"x"})) == "fenced");
}

TEST_CASE("a node that follows slowly notices what was purged before it came there") {
  const auto cluster = new_cluster();
  const auto config = shared_server().config();
  JetStreamNode a(config, cluster), b(config, cluster);
  Head head = open_one(a.open(), 4);
  b.open();
  // The copy is busy with its disk while a's messages are stored and purged.
  std::atomic<bool> hold = true;
  std::mutex mutex;
  b.journal().on_applied([&](std::uint32_t) { await([&] { return !hold; }); });
  for (int i = 0; i < 30; ++i) {
    auto append = append_of(4, head, {"r"});
    append.followed = true;
    REQUIRE(append_one(a.journal(), append) == "");
    ++head.last;
  }
  CHECK_FALSE(a.journal().truncate(4, 20, {}));
  hold = false;
  await([&] {
    const auto theirs = b.journal().head(4);
    return theirs && *theirs == Head{1, 21, 30};
  });
  CHECK(records_of(b.journal(), 4) == records_of(a.journal(), 4));
}

TEST_CASE("what one node commits, the others have, and are told if it is followed") {
  const auto cluster = new_cluster();
  const auto config = shared_server().config();
  JetStreamNode a(config, cluster), b(config, cluster);
  a.open(), b.open();
  std::mutex mutex;
  std::multiset<std::uint32_t> told;
  const auto tell = [&](std::uint32_t shard) {
    const std::lock_guard lock(mutex);
    told.insert(shard);
  };
  b.journal().on_applied(tell);
  for (std::uint32_t shard = 0; shard < 64; ++shard) {
    Append append = append_of(shard, open_one(a.journal(), shard), {"x", "y"}, {{Table::outbox, "k", "v"}});
    append.followed = shard % 2 == 1;
    CHECK(append_one(a.journal(), append) == "");
  }
  for (std::uint32_t shard = 0; shard < 64; ++shard) {
    await_head(b.journal(), shard, 2);
    CHECK(records_of(b.journal(), shard) == Records{{1, "x"}, {2, "y"}});
    CHECK(row_of(b.journal(), Table::outbox, shard, "k") == "v");
  }
  await([&] {
    const std::lock_guard lock(mutex);
    return told.size() == 32;
  });
  CHECK(std::ranges::all_of(told, [](std::uint32_t shard) { return shard % 2 == 1; }));
}

TEST_CASE("three servers keep what was acknowledged while their leaders are killed") {
  NatsCluster servers;
  const auto cluster = new_cluster();
  JetStreamNode node(servers.config(), cluster, {.timeout = 1'000ms, .patience = 60'000ms});
  node.open();
  std::vector<Writer> writers;
  for (std::uint32_t shard = 0; shard < 4; ++shard)
    writers.push_back({node.journal(), shard, "w" + std::to_string(shard), {}, {}});
  std::atomic<bool> stop = false;
  {
    std::vector<std::jthread> threads;
    for (auto& writer : writers) threads.emplace_back([&] { writer.run([&] { return !stop; }); });
    for (int round = 0; round < 2; ++round) {
      std::this_thread::sleep_for(300ms);
      std::optional<std::size_t> leader;
      await([&] {
        return (leader = servers.leader(node.jetstream().connection(), node.stream())).has_value();
      });
      servers[*leader].kill();
      std::this_thread::sleep_for(500ms);
      servers[*leader].start();
      servers.wait_ready();
    }
    stop = true;
  }
  JetStreamNode cold(servers.config(), cluster, {.patience = 60'000ms});
  cold.open();
  for (const auto& writer : writers) {
    CHECK(writer.failures == 0);
    check_log(cold.journal(), writer.shard, {&writer});
    CHECK(cold.journal().head(writer.shard)->last == writer.acknowledged.size());
  }
}

TEST_CASE("a copy that is of another stream, or ahead of it, is refused and left alone") {
  NatsServer server;
  const auto cluster = new_cluster();
  JetStreamNode node(server.config(), cluster);
  Head head = open_one(node.open(), 1);
  CHECK(append_one(node.journal(), append_of(1, head, {"a"})) == "");
  node.close();
  namespace fs = std::filesystem;
  const TempDirectory backup;
  const auto files = server.folder();
  server.stop();
  fs::copy(files, backup.location + "/early", fs::copy_options::recursive);
  server.start();
  node.open();
  head = open_one(node.journal(), 1);
  for (int i = 0; i < 5; ++i, ++head.last) CHECK(append_one(node.journal(), append_of(1, head, {"b"})) == "");
  node.close();
  SUBCASE("the stream was set back") {
    server.stop();
    fs::remove_all(files);
    fs::copy(backup.location + "/early", files, fs::copy_options::recursive);
    server.start();
    const auto error = node.try_open();
    CHECK(type_of(error) == "foreign-replica");
    // It has gone on since, and is longer.
    JetStreamNode other(server.config(), cluster);
    other.open();
    Head theirs = open_one(other.journal(), 1);
    for (int i = 0; i < 9; ++i, ++theirs.last)
      CHECK(append_one(other.journal(), append_of(1, theirs, {"c"})) == "");
    CHECK(type_of(node.try_open()) == "foreign-replica");
  }
  SUBCASE("another stream of the same name") {
    auto reply = node.jetstream().connection().request("$JS.API.STREAM.DELETE." + node.stream(), "", {}, 2s);
    REQUIRE(reply);
    CHECK(type_of(node.try_open()) == "foreign-replica");
  }
  CHECK_FALSE(node.environment().files().FileExists("/data/replica/journal/CURRENT").IsNotFound());
}

TEST_CASE("a copy that cannot be read is made anew") {
  const TempDirectory directory;
  const auto cluster = new_cluster();
  JetStreamNode node(shared_server().config(), cluster,
                     {.directory = directory.location, .files = rocksdb::FileSystem::Default()});
  const Head head = open_one(node.open(), 1);
  CHECK(append_one(node.journal(), append_of(1, head, {"a", "b"})) == "");
  node.close();
  std::ofstream(directory.location + "/replica/journal/CURRENT") << "rubbish";
  node.open();
  CHECK(records_of(node.journal(), 1) == Records{{1, "a"}, {2, "b"}});
  CHECK(append_one(node.journal(), append_of(1, {1, 1, 2}, {"c"})) == "");
}

TEST_CASE("a disk that fails is found out about by opening the shard again") {
  const auto cluster = new_cluster();
  JetStreamNode node(shared_server().config(), cluster);
  const Head head = open_one(node.open(), 1);
  CHECK(append_one(node.journal(), append_of(1, head, {"a"})) == "");
  node.environment().disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::no_space, 0, true});
  CHECK(append_one(node.journal(), append_of(1, {1, 1, 1}, {"b"})) == "storage-failed");
  CHECK(append_one(node.journal(), append_of(1, {1, 1, 1}, {"c"})) != "");
  node.environment().disk().heal();
  CHECK(open_one(node.journal(), 1) == Head{2, 1, 2});  // the stream has it
  CHECK(records_of(node.journal(), 1) == Records{{1, "a"}, {2, "b"}});
}

TEST_CASE("without the fence two writers both believe that they own a shard") {
  const auto cluster = new_cluster();
  JetStreamNode a(shared_server().config(), cluster, {.no_fence = true});
  JetStreamNode b(shared_server().config(), cluster, {.no_fence = true});
  a.open(), b.open();
  const Head mine = open_one(a.journal(), 1);
  await([&] { return b.journal().head(1)->epoch == mine.epoch; });
  const Head theirs = open_one(b.journal(), 1);
  CHECK(append_one(a.journal(), append_of(1, mine, {"a"})) == "");
  CHECK(append_one(b.journal(), append_of(1, theirs, {"b"})) == "");
}

}  // namespace cx::test
