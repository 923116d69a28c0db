#include "runtime/catalog/jetstream_store.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <random>
#include <set>
#include <spdlog/spdlog.h>
#include <thread>

#include "runtime/address.hpp"

namespace cx {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* kAttemptHeader = "Cx-Attempt";
constexpr std::size_t kWave = 256;  // documents under way at once
constexpr std::size_t kWaveBytes = 4'000'000;
constexpr std::size_t kHeaderRoom = 512;  // of a message, for its headers
constexpr milliseconds kFirstPause{20}, kLongestPause{500}, kLeaderPause{100};

bool is_id(std::string_view s) {
  return !s.empty() && s.size() <= 128 && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// Whether it is safe as a subject.
bool is_key(const DocumentKey& key) {
  return is_name(key.kind) && is_name(key.tenant) && is_id(key.id);
}

// Nobody guesses it, and no two writers have the same.
std::string attempt_id() {
  thread_local std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

std::string_view header(const nats::Stored& message, std::string_view name) {
  for (const auto& [key, value] : message.headers)
    if (key == name) return value;
  return {};
}

Error unavailable(std::string type, std::string detail) {
  return {Code::unavailable, std::move(type), std::move(detail), ""};
}

}  // namespace

/// A document on its way to the stream.
struct JetStreamDocumentStore::Attempt {
  v1::Document* document = nullptr;
  std::optional<Error>* result = nullptr;
  std::string id, subject, payload;
  std::uint64_t after = 0;  // sequence of the revision before it
  std::optional<Result<std::uint64_t>> answer;

  bool known = false;      // what became of it is in `result`
  std::uint64_t seen = 0;  // sequence that the replica has to have for the caller to see why
  std::string trouble;     // of the last time that it was tried
};

JetStreamDocumentStore::JetStreamDocumentStore(nats::JetStream& jetstream, JetStreamStoreOptions options)
    : jetstream_(jetstream), options_(std::move(options)), stream_(options_.cluster + "_catalog") {}

JetStreamDocumentStore::~JetStreamDocumentStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  moved_.notify_all();
  follower_.reset();
}

Result<std::unique_ptr<JetStreamDocumentStore>> JetStreamDocumentStore::open(nats::JetStream& jetstream,
                                                                             JetStreamStoreOptions options,
                                                                             const std::string& path,
                                                                             rocksdb::Env& env) {
  if (!is_name(options.cluster))
    return Error{Code::invalid_argument, "invalid-config",
                 "The name of a cluster is 1 to 63 characters of a-z, 0-9 and '-'; cluster.name is '" +
                     options.cluster + "'.",
                 ""};
  std::unique_ptr<JetStreamDocumentStore> store(new JetStreamDocumentStore(jetstream, std::move(options)));
  nats::StreamConfig config;
  config.name = store->stream_;
  // Just as many parts as there are: nothing that somebody else sends has so many by chance.
  config.subjects = {store->options_.cluster + ".catalog.*.*.*"};
  config.replicas = store->options_.replicas;
  if (auto error = jetstream.ensure(config)) return *error;
  if (auto error = store->open_replica(path, env)) return *error;
  if (auto error = store->follow()) return *error;
  return store;
}

std::optional<Error> JetStreamDocumentStore::open_replica(const std::string& path, rocksdb::Env& env) {
  auto opened = RocksDocumentStore::open(path, env);
  if (!opened) return opened.error();
  replica_ = std::move(*opened);
  const auto last = replica_->last_change();
  if (last == 0) return std::nullopt;

  const auto ours = replica_->changes(last - 1, 1);
  if (!ours) return ours.error();
  auto theirs = jetstream_.get(stream_, last);
  // A server that has just become the stream's leader may not have all of it for a moment.
  for (int tries = 0; tries < 10 && !theirs && theirs.error().type == "not-found"; ++tries) {
    std::this_thread::sleep_for(kLeaderPause);
    theirs = jetstream_.get(stream_, last);
  }
  if (!theirs && theirs.error().type != "not-found") return theirs.error();
  if (theirs && !ours->empty()) {
    const auto document = document_of(*theirs);
    if (document && document->SerializeAsString() == ours->front().SerializeAsString()) {
      applied_ = last;
      return std::nullopt;
    }
  }
  const auto other = path + ".other";
  spdlog::warn(
      "{}: its last change, number {}, is not in the stream {}: these are not the cluster's documents. They "
      "are kept "
      "in {}, and the cluster's are read anew.",
      path, last, stream_, other);
  replica_.reset();
  rocksdb::Options options;
  options.env = &env;
  (void)rocksdb::DestroyDB(other, options);
  if (const auto status = env.RenameFile(path, other); !status.ok()) return rocks_error(status, path);
  opened = RocksDocumentStore::open(path, env);
  if (!opened) return opened.error();
  replica_ = std::move(*opened);
  return std::nullopt;
}

std::optional<Error> JetStreamDocumentStore::follow() {
  const auto state = jetstream_.state(stream_);
  if (!state) return state.error();
  const auto target = state->last;
  auto at = applied_;
  follower_ = jetstream_.follow(
      stream_, "", applied_ + 1, [this](nats::Stored&& message) { use(std::move(message)); },
      [this] {
        {
          const std::lock_guard lock(mutex_);
          caught_up_ = true;
        }
        moved_.notify_all();
      });
  std::unique_lock lock(mutex_);
  while (applied_ < target) {
    moved_.wait_for(lock, options_.patience, [&] { return applied_ > at; });
    if (applied_ == at) {
      // A server that lags says that nothing is left, too, but not for so long.
      if (caught_up_) break;  // somebody deleted the last messages
      return unavailable("catalog-behind",
                         fmt::format("The stream {} has {} changes, and nothing after {} came for {} ms. Are "
                                     "the NATS servers well?",
                                     stream_, target, at, options_.patience.count()));
    }
    at = applied_;
  }
  return std::nullopt;
}

// On the follower's thread.
void JetStreamDocumentStore::use(nats::Stored&& message) {
  const auto stopping = [this] {
    const std::lock_guard lock(mutex_);
    return stopping_;
  };
  auto document = document_of(message);
  // What a stranger has put there is nobody's document: those that come after it can be read.
  std::optional<Error> refused;
  if (!document) refused = document.error();
  for (bool said = false; document && !stopping(); said = true) {
    auto error = replica_->take(*document);
    if (!error) break;
    if (error->code == Code::conflict) {
      refused = std::move(error);
      break;
    }
    if (!said) spdlog::error("The catalog waits for its replica: {}", error->detail);
    std::this_thread::sleep_for(kLongestPause);
  }
  if (refused)
    spdlog::error(
        "Message {} of stream {} is passed over: {} Nobody but nodes may write there; delete it ('nats "
        "stream rmm').",
        message.sequence, stream_, refused->detail);
  if (stopping()) return;
  if (!refused) {
    const std::lock_guard lock(changed_mutex_);
    if (changed_) changed_();
  }
  {
    const std::lock_guard lock(mutex_);
    applied_ = message.sequence;
  }
  moved_.notify_all();
}

Result<v1::Document> JetStreamDocumentStore::document_of(const nats::Stored& message) const {
  v1::Document document;
  if (!document.ParseFromString(message.payload))
    return Error{Code::internal, "corrupt", "It is not a cx.v1.Document.", ""};
  const auto key = key_of(document);
  if (!is_key(key) || subject_of(key) != message.subject)
    return Error{Code::internal, "corrupt", "It is not the document that its subject names.", ""};
  document.set_change(message.sequence);
  return document;
}

std::string JetStreamDocumentStore::subject_of(const DocumentKey& key) const {
  return fmt::format("{}.catalog.{}.{}.{}", options_.cluster, key.kind, key.tenant, key.id);
}

void JetStreamDocumentStore::on_change(std::function<void()> changed) {
  const std::lock_guard lock(changed_mutex_);
  changed_ = std::move(changed);
}

std::vector<std::optional<Error>> JetStreamDocumentStore::put(std::span<v1::Document> documents) {
  std::vector<std::optional<Error>> results(documents.size());
  for (std::size_t from = 0; from < documents.size();) {
    std::set<DocumentKey> keys;  // a revision can be published when the one before it has its number
    std::size_t count = 0, bytes = 0;
    while (from + count < documents.size() && count < kWave && bytes < kWaveBytes &&
           keys.insert(key_of(documents[from + count])).second)
      bytes += documents[from + count++].ByteSizeLong();
    put_wave(documents.subspan(from, count), std::span(results).subspan(from, count));
    from += count;
  }
  return results;
}

void JetStreamDocumentStore::put_wave(std::span<v1::Document> documents,
                                      std::span<std::optional<Error>> results) {
  const auto deadline = steady_clock::now() + options_.patience;
  std::vector<Attempt> open;
  bool caught_up = false;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    Attempt attempt;
    attempt.document = &documents[i];
    attempt.result = &results[i];
    if (auto error = prepare(documents[i], caught_up, attempt))
      results[i] = std::move(error);
    else
      open.push_back(std::move(attempt));
  }

  std::vector<Attempt> known;
  for (auto pause = kFirstPause; !open.empty(); pause = std::min(2 * pause, kLongestPause)) {
    publish(open);
    for (auto& attempt : open) settle(attempt);
    const auto unknown =
        std::stable_partition(open.begin(), open.end(), [](const auto& a) { return a.known; });
    std::move(open.begin(), unknown, std::back_inserter(known));
    open.erase(open.begin(), unknown);
    if (open.empty()) break;
    if (steady_clock::now() + pause >= deadline) {
      for (auto& attempt : open)
        *attempt.result = unavailable("catalog-unreachable",
                                      fmt::format("Whether {} was stored is unknown, as {}. Read it again.",
                                                  key_of(*attempt.document).text(), attempt.trouble));
      break;
    }
    std::this_thread::sleep_for(pause);
  }
  for (auto& attempt : known)
    if (attempt.seen > 0 && !wait_for(attempt.seen) && !*attempt.result)
      *attempt.result = unavailable(
          "catalog-behind", key_of(*attempt.document).text() +
                                " is stored, but this node has not read it yet. Read it in a moment.");
}

std::optional<Error> JetStreamDocumentStore::prepare(const v1::Document& document, bool& caught_up,
                                                     Attempt& out) const {
  const auto key = key_of(document);
  if (!is_key(key))
    return Error{Code::invalid_argument, "invalid-key",
                 "Kind and tenant of a document are 1 to 63 characters of a-z, 0-9 and '-', its id is 1 to "
                 "128 of a-z, A-Z, 0-9, '-' and '_'.",
                 ""};
  auto newest = replica_->latest(key);
  if (!newest) return newest.error();
  const auto number = [&] { return *newest ? (*newest)->revision() : 0; };
  if (document.revision() > number() + 1 && !caught_up) {
    // Whoever asks may have seen what another node has stored.
    if (auto error = catch_up()) return error;
    caught_up = true;
    newest = replica_->latest(key);
    if (!newest) return newest.error();
  }
  if (document.revision() != number() + 1)
    return Error{Code::conflict, "revision-conflict",
                 fmt::format("{} is at revision {}, so that the next one cannot be {}. Read it again.",
                             key.text(), number(), document.revision()),
                 ""};
  out.after = *newest ? (*newest)->change() : 0;
  out.id = attempt_id();
  out.subject = subject_of(key);
  auto stored = document;
  stored.clear_change();
  out.payload = stored.SerializeAsString();
  const auto most = jetstream_.connection().max_payload();
  if (most > 0 && out.payload.size() + kHeaderRoom > most)
    return Error{
        Code::invalid_argument, "document-too-large",
        fmt::format("{} has {} bytes; {} is the most that the NATS servers take (max_payload, less room for "
                    "headers). Make it smaller, or raise max_payload.",
                    key.text(), out.payload.size(), most - std::min(most, kHeaderRoom)),
        ""};
  return std::nullopt;
}

// Sends all of them, and waits until each has its answer.
void JetStreamDocumentStore::publish(std::span<Attempt> attempts) {
  struct Answers {
    std::mutex mutex;
    std::condition_variable all;
    std::size_t open;
    std::vector<std::optional<Result<std::uint64_t>>> answers;
  };
  const auto answers = std::make_shared<Answers>();
  answers->open = attempts.size();
  answers->answers.resize(attempts.size());
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    const auto& attempt = attempts[i];
    jetstream_.publish(attempt.subject, attempt.payload, {{kAttemptHeader, attempt.id}}, attempt.after,
                       [answers, i](Result<std::uint64_t> answer) {
                         const std::lock_guard lock(answers->mutex);
                         answers->answers[i] = std::move(answer);
                         if (--answers->open == 0) answers->all.notify_all();
                       });
  }
  std::unique_lock lock(answers->mutex);
  answers->all.wait(lock, [&] { return answers->open == 0; });
  for (std::size_t i = 0; i < attempts.size(); ++i) attempts[i].answer = std::move(answers->answers[i]);
}

// Finds out what became of an attempt, as far as that can be known.
void JetStreamDocumentStore::settle(Attempt& attempt) {
  const auto stored = [&](std::uint64_t sequence) {
    attempt.document->set_change(sequence);
    attempt.seen = sequence;
    attempt.known = true;
  };
  const auto& answer = *attempt.answer;
  if (answer) return stored(*answer);
  const auto& error = answer.error();
  attempt.trouble = error.detail;
  if (error.type == "timeout" || error.type == "unavailable") return;  // it may still be stored
  if (error.type != "wrong-last-sequence") {
    *attempt.result = error;
    attempt.known = true;
    return;
  }
  // Something follows the revision before: an earlier try of this very attempt, or what somebody else stored.
  const auto follows = jetstream_.next(stream_, attempt.subject, attempt.after + 1);
  if (!follows) {
    attempt.trouble = follows.error().type == "not-found"
                          ? "the stream " + stream_ +
                                " does not have what this node has read from it (restart the node: it then "
                                "reads the stream anew)"
                          : follows.error().detail;
    return;
  }
  if (header(*follows, kAttemptHeader) == attempt.id) return stored(follows->sequence);
  *attempt.result = Error{Code::conflict, "revision-conflict",
                          fmt::format("{} has a revision {} already, of somebody else. Read it again.",
                                      key_of(*attempt.document).text(), attempt.document->revision()),
                          ""};
  attempt.seen = follows->sequence;
  attempt.known = true;
}

// Waits until the replica has what was in the stream a moment ago.
std::optional<Error> JetStreamDocumentStore::catch_up() const {
  const auto state = jetstream_.state(stream_);
  if (!state) return state.error();
  if (wait_for(state->last)) return std::nullopt;
  return unavailable("catalog-behind",
                     "This node has not read yet what others have stored. Try again in a moment.");
}

bool JetStreamDocumentStore::wait_for(std::uint64_t sequence) const {
  std::unique_lock lock(mutex_);
  return moved_.wait_for(lock, options_.patience, [&] { return applied_ >= sequence || stopping_; }) &&
         applied_ >= sequence;
}

Result<std::optional<v1::Document>> JetStreamDocumentStore::latest(const DocumentKey& key) const {
  return replica_->latest(key);
}
Result<std::optional<v1::Document>> JetStreamDocumentStore::revision(const DocumentKey& key,
                                                                     std::uint64_t number) const {
  return replica_->revision(key, number);
}
Result<std::vector<v1::Document>> JetStreamDocumentStore::history(const DocumentKey& key,
                                                                  std::uint64_t before,
                                                                  std::size_t limit) const {
  return replica_->history(key, before, limit);
}
Result<std::vector<v1::Document>> JetStreamDocumentStore::list(std::string_view kind, std::string_view tenant,
                                                               std::string_view after,
                                                               std::size_t limit) const {
  return replica_->list(kind, tenant, after, limit);
}
Result<std::uint64_t> JetStreamDocumentStore::scan(std::string_view kind, const Visit& visit) const {
  return replica_->scan(kind, visit);
}
Result<std::vector<v1::Document>> JetStreamDocumentStore::changes(std::uint64_t after,
                                                                  std::size_t limit) const {
  return replica_->changes(after, limit);
}

}  // namespace cx
