#include "actors/journey/catalog_book.hpp"

#include <chrono>
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

namespace cx::journey {
namespace {

constexpr auto kSettle = std::chrono::seconds(2);
constexpr std::size_t kPage = 1'000;  // revisions read at once

std::optional<Error> validate(const v1::Journey& journey) {
  const auto problems = problems_of(journey);
  if (problems.empty()) return std::nullopt;
  const auto& first = problems.front();
  auto detail = first.detail();
  if (problems.size() > 1)
    detail += " There are " + std::to_string(problems.size() - 1) + " more problems: validate it to see all.";
  return Error{Code::invalid_argument, first.type(), std::move(detail), first.pointer()};
}

template <class Map, class Key>
const typename Map::mapped_type::element_type* look_up(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : found->second.get();
}

}  // namespace

void define_journeys(Catalog& catalog) {
  catalog.define<v1::Journey>(kJourneyKind, validate);
  catalog.define<v1::JourneyStatus>(kStatusKind, [](const auto&) { return std::nullopt; });
}

Result<v1::JourneyStatus> status_of(const v1::Document& document) {
  auto status = read_body<v1::JourneyStatus>(document);
  if (!status) return status.error();
  status->set_id(document.id());
  *status->mutable_changed_at() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(document.at());
  status->set_changed_by(document.actor());
  return status;
}

// What readers see. A journey that did not change is shared with the snapshot before.
struct CatalogBook::One {
  v1::JourneyStage stage = v1::JOURNEY_STAGE_DRAFT;
  v1::JourneyRevision active;  // revision 0: none ever was
  std::uint64_t change = 0;    // that said so
  std::map<std::uint64_t, DefinitionPtr> revisions;
};
struct CatalogBook::Tenant {
  std::map<std::string, std::shared_ptr<const One>, std::less<>> journeys;
  // Active journeys by the name of the event that starts them.
  std::map<std::string, std::vector<v1::JourneyRevision>, std::less<>> by_event;
};
struct CatalogBook::Snapshot {
  std::map<std::string, std::shared_ptr<const Tenant>, std::less<>> tenants;

  const One* find(std::string_view tenant, std::string_view journey) const {
    const auto* where = look_up(tenants, tenant);
    return where == nullptr ? nullptr : look_up(where->journeys, journey);
  }
};

// The journeys that the next snapshot has otherwise, by tenant and id.
struct CatalogBook::Draft {
  std::map<std::string, std::map<std::string, std::shared_ptr<One>>> tenants;
};

CatalogBook::CatalogBook(Catalog& catalog, std::function<void()> changed)
    : catalog_(catalog), changed_(std::move(changed)), published_(std::make_shared<const Snapshot>()) {
  read_all();
  watch_ = catalog.watch(change_, [this](std::span<const v1::Document> changes, bool) { use(changes); });
}

CatalogBook::~CatalogBook() = default;

// Where reading fails, the watch gets here too, by way of everything that ever was.
void CatalogBook::read_all() {
  std::vector<DocumentKey> keys;
  const auto change =
      catalog_.store().scan(kStatusKind, [&](v1::Document&& document) { keys.push_back(key_of(document)); });
  if (!change) return failed(change.error());
  Draft draft;
  for (const auto& key : keys)
    for (std::uint64_t before = 0;;) {
      const auto page = catalog_.history(key, before, kPage);
      if (!page) return failed(page.error());
      for (const auto& document : *page) apply(document, draft);
      if (page->size() < kPage) break;
      before = page->back().revision();
    }
  publish(std::move(draft), *change);
}

void CatalogBook::use(std::span<const v1::Document> changes) {
  Draft draft;
  for (const auto& document : changes)
    if (document.kind() == kStatusKind) apply(document, draft);
  publish(std::move(draft), changes.back().change());
}

// In any order: the newest says how things stand.
void CatalogBook::apply(const v1::Document& document, Draft& draft) {
  if (!document.has_body()) return;  // nothing removes one
  const auto status = status_of(document);
  if (!status) return failed(status.error());
  auto& one = draft.tenants[document.tenant()][document.id()];
  if (!one) {
    const auto* before = published_.get()->find(document.tenant(), document.id());
    one = before == nullptr ? std::make_shared<One>() : std::make_shared<One>(*before);
  }
  if (document.change() > one->change) {
    one->change = document.change();
    one->stage = status->stage();
    one->active.set_journey(document.id());
    one->active.set_revision(status->revision());
  }
  if (status->revision() == 0 || one->revisions.contains(status->revision())) return;
  if (auto made = compile(key_of(document), status->revision()))
    one->revisions[status->revision()] = std::move(made);
}

DefinitionPtr CatalogBook::compile(const DocumentKey& status, std::uint64_t revision) {
  const auto document = catalog_.get({kJourneyKind, status.tenant, status.id}, revision);
  if (!document) {
    failed(document.error());
    return nullptr;
  }
  auto journey = read_body<v1::Journey>(*document);
  if (!journey) {
    failed(journey.error());
    return nullptr;
  }
  journey->set_id(status.id);
  journey->set_revision(revision);
  auto definition = Definition::compile(*journey);
  if (definition) return *definition;
  auto error = definition.error();
  error.detail = "Revision " + std::to_string(revision) + " of journey " + status.tenant + "/" + status.id +
                 " cannot run: " + error.detail;
  failed(std::move(error));
  return nullptr;
}

void CatalogBook::publish(Draft draft, std::uint64_t change) {
  const bool changes = !draft.tenants.empty();
  if (changes) {
    auto next = std::make_shared<Snapshot>(*published_.get());
    for (auto& [name, journeys] : draft.tenants) {
      auto& place = next->tenants[name];
      auto tenant = std::make_shared<Tenant>();
      if (place) tenant->journeys = place->journeys;
      for (auto& [id, one] : journeys) tenant->journeys[id] = std::move(one);
      for (const auto& [id, one] : tenant->journeys) {
        if (one->stage != v1::JOURNEY_STAGE_ACTIVE) continue;
        const auto* definition = look_up(one->revisions, one->active.revision());
        if (definition == nullptr) continue;  // it could not be read: failed() has said so
        if (const auto& event = definition->trigger_event(); !event.empty())
          tenant->by_event[event].push_back(one->active);
      }
      place = std::move(tenant);
    }
    published_.set(std::move(next));
  }
  {
    const std::lock_guard lock(mutex_);
    change_ = change;
  }
  news_.notify_all();
  if (changes && changed_) changed_();
}

void CatalogBook::failed(Error error) {
  spdlog::error("journeys: {}", error.detail);
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
}

DefinitionPtr CatalogBook::find(std::string_view tenant, std::string_view journey,
                                std::uint64_t revision) const {
  const auto snapshot = published_.get();
  const auto* one = snapshot->find(tenant, journey);
  if (one == nullptr) return nullptr;
  const auto found = one->revisions.find(revision);
  return found == one->revisions.end() ? nullptr : found->second;
}

std::vector<v1::JourneyRevision> CatalogBook::started_by(std::string_view tenant,
                                                         std::string_view event) const {
  const auto snapshot = published_.get();
  const auto* where = look_up(snapshot->tenants, tenant);
  if (where == nullptr) return {};
  const auto found = where->by_event.find(event);
  return found == where->by_event.end() ? std::vector<v1::JourneyRevision>() : found->second;
}

std::optional<v1::JourneyRevision> CatalogBook::active(std::string_view tenant,
                                                       std::string_view journey) const {
  const auto snapshot = published_.get();
  const auto* one = snapshot->find(tenant, journey);
  if (one == nullptr || one->stage != v1::JOURNEY_STAGE_ACTIVE) return std::nullopt;
  return one->active;
}

v1::JourneyStage CatalogBook::stage(std::string_view tenant, std::string_view journey) const {
  const auto snapshot = published_.get();
  const auto* one = snapshot->find(tenant, journey);
  return one == nullptr ? v1::JOURNEY_STAGE_DRAFT : one->stage;
}

bool CatalogBook::settle(std::uint64_t change) const {
  std::unique_lock lock(mutex_);
  return news_.wait_for(lock, kSettle, [&] { return change_ >= change; });
}

std::optional<Error> CatalogBook::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

}  // namespace cx::journey
