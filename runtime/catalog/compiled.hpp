#pragma once

#include "runtime/catalog/catalog.hpp"
#include "runtime/catalog/published.hpp"

namespace cx {

/// The newest revisions of all documents of some kinds, without those that were removed.
using Definitions = std::map<DocumentKey, v1::Document>;

struct CompiledStatus {
  std::uint64_t compiles = 0;  ///< that succeeded
  std::uint64_t change = 0;    ///< the last one that is in what was compiled
  std::int64_t at = 0;         ///< when that was, Unix milliseconds
  std::size_t documents = 0;   ///< in it
  std::optional<Error> error;  ///< why it is not newer: what readers get is the last that compiled
};

/// Keeps Definitions as they change, and has them compiled; the part of Compiled that is the same for all.
class Follower {
 public:
  using Compile = std::function<std::optional<Error>(const Definitions&)>;
  Follower(Catalog& catalog, std::vector<std::string> kinds, Compile compile);
  CompiledStatus status() const;

 private:
  bool apply(v1::Document document);
  void compile_now(std::uint64_t change);

  const Clock& clock_;
  const std::vector<std::string> kinds_;
  const Compile compile_;
  Definitions definitions_;
  bool stale_ = false;        // changed since they were compiled
  mutable std::mutex mutex_;  // guards status_
  CompiledStatus status_;
  std::unique_ptr<Watch> watch_;  // last: it uses the others
};

/// What a pure function makes of all documents of some kinds, made anew off the hot path after they changed:
/// once for changes that come together. When the function fails, its last success stays.
template <class T>
class Compiled {
 public:
  using Compile = std::function<Result<T>(const Definitions&)>;

  /// Reads and compiles what there is before it returns, so it may block. Should that fail, readers get a T{}
  /// until it succeeds. The catalog outlives this.
  Compiled(Catalog& catalog, std::vector<std::string> kinds, Compile compile)
      : published_(std::make_shared<const T>()),
        follower_(catalog, std::move(kinds),
                  [this, compile = std::move(compile)](const Definitions& all) -> std::optional<Error> {
                    Result<T> made = compile(all);
                    if (!made) return made.error();
                    published_.set(std::make_shared<const T>(std::move(*made)));
                    return std::nullopt;
                  }) {}

  /// Never null. Lock-free; see Published.
  std::shared_ptr<const T> get() const { return published_.get(); }
  CompiledStatus status() const { return follower_.status(); }

 private:
  Published<T> published_;
  Follower follower_;
};

}  // namespace cx
