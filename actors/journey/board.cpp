#include "actors/journey/board.hpp"

#include "actors/journey/address.hpp"
#include "actors/journey/instance.hpp"
#include "runtime/address.hpp"
#include "runtime/entity/kind_of.hpp"

namespace cx::journey {
namespace {

using sqlite::Value;

// `changed` is in Unix milliseconds; `sequence` is that of the last record in the state.
constexpr const char* kSchema = R"(
CREATE TABLE runs (
  number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, journey TEXT NOT NULL, instance TEXT NOT NULL,
  sequence INTEGER NOT NULL, status INTEGER NOT NULL, step TEXT NOT NULL, changed INTEGER NOT NULL,
  state BLOB NOT NULL);
CREATE UNIQUE INDEX runs_key ON runs (tenant, instance);
CREATE INDEX runs_status ON runs (tenant, journey, status, changed, number);
CREATE TABLE counts (
  tenant TEXT NOT NULL, journey TEXT NOT NULL, status INTEGER NOT NULL, runs INTEGER NOT NULL,
  PRIMARY KEY (tenant, journey, status)) WITHOUT ROWID;
CREATE TABLE steps (
  tenant TEXT NOT NULL, journey TEXT NOT NULL, revision INTEGER NOT NULL, step TEXT NOT NULL,
  entered INTEGER NOT NULL, there INTEGER NOT NULL, sent INTEGER NOT NULL, refused INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  PRIMARY KEY (tenant, journey, revision, step)) WITHOUT ROWID;
)";

std::int64_t number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

Error unreadable(const std::string& address, std::string_view what) {
  return {Code::internal, "corrupt",
          "The stored " + std::string(what) + " of " + address +
              " cannot be read. Rebuild the projection journeys.",
          ""};
}

}  // namespace

struct JourneyBoard::Run {
  std::string tenant, journey, instance;
  std::unique_ptr<Entity> entity;
  std::uint64_t sequence = 0;
  bool changed = false;
  const v1::InstanceState& state() const { return static_cast<const v1::InstanceState&>(entity->state()); }
};

JourneyBoard::File::File(JourneyBoard& board, std::string path)
    : rows(std::move(path), kSchema), board_(board) {}

std::optional<Error> JourneyBoard::File::begin() {
  board_.forget();
  return rows.begin();
}

std::optional<Error> JourneyBoard::File::commit(std::span<const CursorMove> moves) {
  auto error = board_.flush();
  board_.forget();
  return error ? error : rows.commit(moves);
}

void JourneyBoard::File::rollback() {
  board_.forget();
  rows.rollback();
}

JourneyBoard::JourneyBoard(std::string path)
    : kind_(make_kind(InstanceEntity{})), file_(*this, std::move(path)) {}
JourneyBoard::~JourneyBoard() = default;

void JourneyBoard::forget() {
  runs_.clear();
  steps_.clear();
  counts_.clear();
}

Result<JourneyBoard::Run*> JourneyBoard::run_of(const std::string& address) {
  auto& run = runs_[address];
  if (run) return run.get();
  const auto where = parse_address(address);
  if (!where) return where.error();
  const auto instance = parse_instance(where->key);
  if (!instance) return unreadable(address, "address");
  auto made = std::make_unique<Run>();
  made->tenant = where->tenant;
  made->journey = instance->journey;
  made->instance = where->key;
  made->entity = kind_->make(address);
  std::optional<Error> error;
  auto failed = file_.rows.run("SELECT sequence, state FROM runs WHERE tenant = ?1 AND instance = ?2",
                               {std::string_view(made->tenant), std::string_view(made->instance)},
                               [&](const sqlite::Row& row) {
                                 made->sequence = static_cast<std::uint64_t>(row.integer(0));
                                 if (made->entity->load(InstanceEntity::kSchema, row.blob(1)))
                                   error = unreadable(address, "row");
                               });
  if (failed) return *failed;
  if (error) return *error;
  run = std::move(made);
  return run.get();
}

std::optional<Error> JourneyBoard::project(std::span<const v1::JournalRecord> records) {
  for (const auto& record : records)
    if (record.events_size() > 0)
      if (auto error = fold(record)) return error;
  return std::nullopt;
}

std::optional<Error> JourneyBoard::fold(const v1::JournalRecord& record) {
  const auto found = run_of(record.entity());
  if (!found) return found.error();
  auto& run = **found;
  if (run.sequence >= record.sequence()) return std::nullopt;
  place(run, -1);
  v1::InstanceEvent event;
  for (const auto& bytes : record.events()) {
    if (auto error = run.entity->apply(record.schema(), bytes)) return error;
    if (!event.ParseFromString(bytes)) return unreadable(record.entity(), "event");
    if (event.has_entered()) ++steps_of(run, event.entered().step()).entered;
    if (event.has_message()) count_message(run, event.message().step(), event.message().what());
  }
  place(run, 1);
  run.sequence = record.sequence();
  run.changed = true;
  return std::nullopt;
}

std::optional<Error> JourneyBoard::project_base(const v1::Snapshot& base) {
  if (!base.entity().starts_with(kind_->name() + '/')) return std::nullopt;
  const auto found = run_of(base.entity());
  if (!found) return found.error();
  auto& run = **found;
  if (run.sequence >= base.sequence()) return std::nullopt;
  if (auto error = run.entity->load(base.schema(), base.state())) return error;
  for (const auto& note : run.state().path()) {
    if (note.what() == "entered") ++steps_of(run, note.step()).entered;
    // Begins with what became of it: "refused by quiet-hours: ...".
    if (note.what() == "message")
      count_message(run, note.step(), note.reason().substr(0, note.reason().find_first_of(" :")));
  }
  place(run, 1);
  run.sequence = base.sequence();
  run.changed = true;
  return std::nullopt;
}

void JourneyBoard::place(const Run& run, std::int64_t by) {
  const auto& state = run.state();
  if (state.status() == v1::RUN_STATUS_UNSPECIFIED) return;
  counts_[{run.tenant, run.journey, state.status()}] += by;
  const bool over = state.status() == v1::RUN_STATUS_COMPLETED || state.status() == v1::RUN_STATUS_EXITED;
  if (!over && !state.step().empty()) steps_of(run, state.step()).there += by;
}

JourneyBoard::Steps& JourneyBoard::steps_of(const Run& run, const std::string& step) {
  return steps_[{run.tenant, run.journey, run.state().revision(), step}];
}

// A message that nobody knows the fate of was not seen to leave: it counts with those that failed.
void JourneyBoard::count_message(const Run& run, const std::string& step, std::string_view what) {
  if (what == "sent") ++steps_of(run, step).sent;
  if (what == "refused") ++steps_of(run, step).refused;
  if (what == "failed" || what == "unknown") ++steps_of(run, step).failed;
}

std::optional<Error> JourneyBoard::flush() {
  for (const auto& [address, run] : runs_) {
    if (!run->changed || run->state().status() == v1::RUN_STATUS_UNSPECIFIED) continue;
    auto state = run->state();
    state.clear_path();
    state.clear_memory();
    state.clear_event();
    state.clear_parked();
    const auto stored = serialize(state);
    if (auto error = file_.rows.run(
            "INSERT INTO runs (tenant, journey, instance, sequence, status, step, changed, state)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
            " ON CONFLICT (tenant, instance) DO UPDATE SET sequence = ?4, status = ?5, step = ?6, changed = "
            "?7,"
            " state = ?8",
            {std::string_view(run->tenant), std::string_view(run->journey), std::string_view(run->instance),
             number(run->sequence), std::int64_t{state.status()}, std::string_view(state.step()),
             state.changed(), sqlite::Blob{stored}}))
      return error;
  }
  for (const auto& [key, runs] : counts_) {
    const auto& [tenant, journey, status] = key;
    if (runs == 0) continue;
    if (auto error =
            file_.rows.run("INSERT INTO counts VALUES (?1, ?2, ?3, ?4)"
                           " ON CONFLICT DO UPDATE SET runs = runs + ?4",
                           {std::string_view(tenant), std::string_view(journey), std::int64_t{status}, runs}))
      return error;
  }
  for (const auto& [key, n] : steps_) {
    const auto& [tenant, journey, revision, step] = key;
    if (auto error = file_.rows.run(
            "INSERT INTO steps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            " ON CONFLICT DO UPDATE SET entered = entered + ?5, there = there + ?6, sent = sent + ?7,"
            " refused = refused + ?8, failed = failed + ?9",
            {std::string_view(tenant), std::string_view(journey), number(revision), std::string_view(step),
             n.entered, n.there, n.sent, n.refused, n.failed}))
      return error;
  }
  return std::nullopt;
}

}  // namespace cx::journey
