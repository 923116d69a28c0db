#include "runtime/catalog/compiled.hpp"

#include <algorithm>

namespace cx {

Follower::Follower(Catalog& catalog, std::vector<std::string> kinds, Compile compile)
    : clock_(catalog.clock()), kinds_(std::move(kinds)), compile_(std::move(compile)) {
  // Where a scan fails, the watch starts at the beginning and gets here too, by way of every revision that
  // ever was.
  std::uint64_t from = kinds_.empty() ? 0 : ~0ULL;
  for (const auto& kind : kinds_) {
    const auto change = catalog.store().scan(kind, [this](v1::Document&& d) { apply(std::move(d)); });
    from = std::min(from, change ? *change : 0);
  }
  compile_now(from);
  watch_ = catalog.watch(from, [this](std::span<const v1::Document> changes, bool caught_up) {
    for (const auto& document : changes) stale_ |= apply(document);
    if (stale_ && caught_up) compile_now(changes.back().change());
  });
}

// Whether it made a difference.
bool Follower::apply(v1::Document document) {
  if (std::find(kinds_.begin(), kinds_.end(), document.kind()) == kinds_.end()) return false;
  auto key = key_of(document);
  if (!document.has_body()) return definitions_.erase(key) != 0;
  auto& known = definitions_[std::move(key)];
  if (document.change() <= known.change()) return false;  // a scan may be ahead of the changes
  known = std::move(document);
  return true;
}

void Follower::compile_now(std::uint64_t change) {
  std::optional<Error> error;
  try {
    error = compile_(definitions_);
  } catch (const std::exception& e) {
    error =
        Error{Code::internal, "compile-failed", std::string("Compiling definitions threw: ") + e.what(), ""};
  }
  stale_ = false;  // as it is now, it would fail again
  const std::lock_guard lock(mutex_);
  status_.error = std::move(error);
  if (status_.error) return;
  ++status_.compiles;
  status_.change = change;
  status_.at = clock_.unix_ms();
  status_.documents = definitions_.size();
}

CompiledStatus Follower::status() const {
  CompiledStatus out;
  {
    const std::lock_guard lock(mutex_);
    out = status_;
  }
  if (!out.error) out.error = watch_->error();
  return out;
}

}  // namespace cx
