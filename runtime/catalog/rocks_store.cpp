#include "runtime/catalog/rocks_store.hpp"

#include <map>

namespace cx {
namespace {

enum Family { kDocuments, kChanges };

std::string big_endian(std::uint64_t n) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(n >> (56 - 8 * i));
  return out;
}

std::uint64_t number_at_end(const rocksdb::Slice& key) {
  std::uint64_t n = 0;
  for (std::size_t i = key.size() - 8; i < key.size(); ++i) n = n << 8 | static_cast<unsigned char>(key[i]);
  return n;
}

// A zero byte is below every character of a name: keys sort as (kind, tenant, id) do.
std::string prefix_of(std::string_view kind, std::string_view tenant, std::string_view id) {
  std::string out;
  for (const auto part : {kind, tenant, id}) out.append(part).push_back('\0');
  return out;
}
std::string prefix_of(const DocumentKey& key) {
  return prefix_of(key.kind, key.tenant, key.id);
}

// Complemented, so that the newest revision comes first; that of revision 0, which never is, comes last.
std::string revision_key(const std::string& prefix, std::uint64_t revision) {
  return prefix + big_endian(~revision);
}

std::unique_ptr<rocksdb::Iterator> iterate(const RocksFiles& files, Family family) {
  return std::unique_ptr<rocksdb::Iterator>(files.db->NewIterator({}, files.families[family]));
}

}  // namespace

Result<std::unique_ptr<RocksDocumentStore>> RocksDocumentStore::open(const std::string& path,
                                                                     rocksdb::Env& env) {
  std::unique_ptr<RocksDocumentStore> store(new RocksDocumentStore(path, env));
  if (auto error = store->reopen()) return *error;
  return store;
}

std::optional<Error> RocksDocumentStore::reopen() {
  const std::unique_lock lock(files_mutex_);
  files_ = {};  // first: a directory is open once
  auto options = rocks_family_options(false);
  options.write_buffer_size = 8 << 20;  // definitions are few
  const RocksFamily families[] = {{"documents", options}, {"changes", options}};
  auto files = open_rocks(path_, families, env_);
  if (!files) return files.error();
  const auto it = iterate(*files, kChanges);
  it->SeekToLast();
  if (!it->status().ok()) return rocks_error(it->status(), path_);
  last_change_ = it->Valid() ? number_at_end(it->key()) : 0;
  in_doubt_ = false;
  files_ = std::move(*files);
  return std::nullopt;
}

Result<v1::Document> RocksDocumentStore::read(std::string_view bytes) const {
  v1::Document document;
  if (document.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return document;
  return rocks_error(rocksdb::Status::Corruption("a revision is not a cx.v1.Document"), path_);
}

std::optional<Error> RocksDocumentStore::each_latest(std::string_view prefix, std::string_view from,
                                                     const std::function<bool(v1::Document&&)>& visit) const {
  const std::shared_lock lock(files_mutex_);
  if (!files_.db) return rocks_error(rocksdb::Status::IOError("not open after a failed write"), path_);
  const auto it = iterate(files_, kDocuments);
  for (it->Seek(from); it->Valid() && it->key().starts_with(prefix);) {
    const auto bytes = it->value().ToStringView();
    auto document = read(bytes);
    if (!document) return document.error();
    const auto end = revision_key(it->key().ToString().substr(0, it->key().size() - 8), 0);
    if (document->has_body() && !visit(std::move(*document))) return std::nullopt;
    it->Next();  // most documents have few revisions
    if (it->Valid() && it->key().compare(end) < 0) it->Seek(end);
  }
  if (!it->status().ok()) return rocks_error(it->status(), path_);
  return std::nullopt;
}

Result<std::optional<v1::Document>> RocksDocumentStore::latest(const DocumentKey& key) const {
  auto newest = history(key, 0, 1);
  if (!newest) return newest.error();
  if (newest->empty()) return std::optional<v1::Document>();
  return std::optional(std::move(newest->front()));
}

Result<std::optional<v1::Document>> RocksDocumentStore::revision(const DocumentKey& key,
                                                                 std::uint64_t number) const {
  auto found = history(key, number + 1, 1);
  if (!found) return found.error();
  if (found->empty() || found->front().revision() != number) return std::optional<v1::Document>();
  return std::optional(std::move(found->front()));
}

Result<std::vector<v1::Document>> RocksDocumentStore::history(const DocumentKey& key, std::uint64_t before,
                                                              std::size_t limit) const {
  const std::shared_lock lock(files_mutex_);
  if (!files_.db) return rocks_error(rocksdb::Status::IOError("not open after a failed write"), path_);
  const auto prefix = prefix_of(key);
  std::vector<v1::Document> out;
  const auto it = iterate(files_, kDocuments);
  for (it->Seek(revision_key(prefix, before - 1));  // 0 wraps around to the highest
       it->Valid() && it->key().starts_with(prefix) && out.size() < limit; it->Next()) {
    auto document = read(it->value().ToStringView());
    if (!document) return document.error();
    out.push_back(std::move(*document));
  }
  if (!it->status().ok()) return rocks_error(it->status(), path_);
  return out;
}

Result<std::vector<v1::Document>> RocksDocumentStore::list(std::string_view kind, std::string_view tenant,
                                                           std::string_view after, std::size_t limit) const {
  auto prefix = prefix_of(kind, tenant, "");
  prefix.pop_back();
  std::vector<v1::Document> out;
  if (limit == 0) return out;
  const auto error =
      each_latest(prefix, after.empty() ? prefix : revision_key(prefix_of(kind, tenant, after), 0),
                  [&](v1::Document&& document) {
                    out.push_back(std::move(document));
                    return out.size() < limit;
                  });
  if (error) return *error;
  return out;
}

Result<std::uint64_t> RocksDocumentStore::scan(std::string_view kind, const Visit& visit) const {
  std::uint64_t change = 0;
  {
    const std::shared_lock lock(files_mutex_);
    if (!files_.db) return rocks_error(rocksdb::Status::IOError("not open after a failed write"), path_);
    const auto it = iterate(files_, kChanges);
    it->SeekToLast();
    if (it->Valid()) change = number_at_end(it->key());
  }
  const auto prefix = std::string(kind) + '\0';
  const auto error = each_latest(prefix, prefix, [&](v1::Document&& document) {
    visit(std::move(document));
    return true;
  });
  if (error) return *error;
  return change;
}

Result<std::vector<v1::Document>> RocksDocumentStore::changes(std::uint64_t after, std::size_t limit) const {
  const std::shared_lock lock(files_mutex_);
  if (!files_.db) return rocks_error(rocksdb::Status::IOError("not open after a failed write"), path_);
  std::vector<v1::Document> out;
  std::string bytes;
  const auto it = iterate(files_, kChanges);
  for (it->Seek(big_endian(after + 1)); it->Valid() && out.size() < limit; it->Next()) {
    const auto status = files_.db->Get({}, files_.families[kDocuments], it->value(), &bytes);
    if (!status.ok()) return rocks_error(status, path_);
    auto document = read(bytes);
    if (!document) return document.error();
    out.push_back(std::move(*document));
  }
  if (!it->status().ok()) return rocks_error(it->status(), path_);
  return out;
}

std::vector<std::optional<Error>> RocksDocumentStore::put(std::span<v1::Document> documents) {
  return store(documents, false);
}

std::optional<Error> RocksDocumentStore::take(v1::Document document) {
  return store({&document, 1}, true).front();
}

std::uint64_t RocksDocumentStore::last_change() const {
  const std::lock_guard lock(writing_);
  return last_change_;
}

std::vector<std::optional<Error>> RocksDocumentStore::store(std::span<v1::Document> documents,
                                                            bool numbered) {
  std::vector<std::optional<Error>> results(documents.size());
  {
    const std::lock_guard lock(writing_);
    const auto before = last_change_;
    auto failed = in_doubt_ ? reopen() : std::nullopt;
    if (!failed) failed = write(documents, results, numbered);
    for (auto& result : results)
      if (failed && !result) result = failed;
    if (last_change_ == before) return results;
  }
  if (changed_) changed_();
  return results;
}

std::optional<Error> RocksDocumentStore::write(std::span<v1::Document> documents,
                                               std::span<std::optional<Error>> results, bool numbered) {
  const std::shared_lock lock(files_mutex_);
  rocksdb::WriteBatch batch;
  std::map<std::string, std::uint64_t> newest;  // of the documents of this batch
  auto change = last_change_;
  const auto it = iterate(files_, kDocuments);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    auto& document = documents[i];
    const auto prefix = prefix_of(key_of(document));
    auto [known, unread] = newest.try_emplace(prefix, 0);
    if (unread) {
      it->Seek(prefix);
      if (!it->status().ok()) return rocks_error(it->status(), path_);
      if (it->Valid() && it->key().starts_with(prefix)) known->second = ~number_at_end(it->key());
    }
    if (document.revision() != known->second + 1) {
      results[i] = Error{Code::conflict, "revision-conflict",
                         key_of(document).text() + " is at revision " + std::to_string(known->second) +
                             ", so that the next one cannot be " + std::to_string(document.revision()) +
                             ". Read it again.",
                         ""};
      continue;
    }
    ++known->second;
    change = numbered ? document.change() : change + 1;
    document.set_change(change);
    const auto key = revision_key(prefix, document.revision());
    batch.Put(files_.families[kDocuments], key, document.SerializeAsString());
    batch.Put(files_.families[kChanges], big_endian(change), key);
  }
  if (change == last_change_) return std::nullopt;
  rocksdb::WriteOptions options;
  options.sync = !numbered;
  if (const auto status = files_.db->Write(options, &batch); !status.ok()) {
    in_doubt_ = true;
    return rocks_error(status, path_);
  }
  last_change_ = change;
  return std::nullopt;
}

}  // namespace cx
