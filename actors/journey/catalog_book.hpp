#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "actors/journey/book.hpp"
#include "runtime/catalog/catalog.hpp"
#include "runtime/catalog/published.hpp"

namespace cx::journey {

inline constexpr const char* kJourneyKind = "journey";  ///< definitions, v1::Journey
inline constexpr const char* kStatusKind = "journey-status";

/// Makes the two kinds of documents. A definition is refused with the first of problems_of(). Of a status
/// only the stage and the revision are stored; the rest is what the document itself says.
void define_journeys(Catalog& catalog);

/// What a document of kind "journey-status" says.
Result<v1::JourneyStatus> status_of(const v1::Document& document);

/// The catalog's journeys as entities need them: every revision that customers ever started with, compiled
/// once, and where each journey stands. Kept up off the hot path; what readers see is replaced as a whole.
class CatalogBook final : public Book {
 public:
  /// Reads and compiles what there is before it returns, so it may block. `changed` is called after every
  /// change of what the book says, on a thread of the catalog; it must be quick. The catalog outlives the
  /// book.
  explicit CatalogBook(Catalog& catalog, std::function<void()> changed = nullptr);
  ~CatalogBook() override;

  DefinitionPtr find(std::string_view tenant, std::string_view journey,
                     std::uint64_t revision) const override;
  std::vector<v1::JourneyRevision> started_by(std::string_view tenant, std::string_view event) const override;
  std::optional<v1::JourneyRevision> active(std::string_view tenant, std::string_view journey) const override;
  v1::JourneyStage stage(std::string_view tenant, std::string_view journey) const override;

  /// Waits until the book has that change of the catalog, for two seconds at most; whether it has. Blocks.
  bool settle(std::uint64_t change) const;
  /// What could not be read or compiled, the last that there was.
  std::optional<Error> error() const;

 private:
  struct One;
  struct Tenant;
  struct Snapshot;
  struct Draft;

  void use(std::span<const v1::Document> changes);
  void read_all();
  void apply(const v1::Document& status, Draft& draft);
  DefinitionPtr compile(const DocumentKey& status, std::uint64_t revision);
  void publish(Draft draft, std::uint64_t change);
  void failed(Error error);

  Catalog& catalog_;
  const std::function<void()> changed_;
  Published<Snapshot> published_;
  mutable std::mutex mutex_;  // guards change_ and error_
  mutable std::condition_variable news_;
  std::uint64_t change_ = 0;
  std::optional<Error> error_;
  std::unique_ptr<Watch> watch_;  // last: it uses the others
};

}  // namespace cx::journey
