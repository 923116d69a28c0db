#include "tools/campaignd/operations.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cx/v1/operations.pb.h"
#include "cx/v1/options.pb.h"
#include "runtime/address.hpp"
#include "runtime/entity/route.hpp"
#include "tools/campaignd/describe.hpp"
#include "tools/version.hpp"

namespace cx {
namespace {

using Responder = Services::Respond;
using Reply = Services::Reply;

constexpr std::size_t kDefaultLimit = 50;

template <class Message>
Reply reply(Message message) {
  return {std::make_shared<Message>(std::move(message))};
}

/// Says which field of the request an error is about.
Error about(const char* field, Error error) {
  error.pointer = fmt::format("/{}", field);
  return error;
}

/// As answer(), on a thread that may block.
template <class Work>
void answer_later(const Entities& entities, const Responder& respond, Work work) {
  entities.reads().post([respond, work = std::move(work)] { answer(respond, work); });
}

/// The request's `limit`, which the contract bounds.
template <class Request>
std::size_t limit_of(const Request& request) {
  return request.limit() == 0 ? kDefaultLimit : request.limit();
}

void get_entity(const Entities& entities, const Clock& clock, const v1::GetEntityRequest& request,
                const Responder& respond) {
  const auto entity = route(entities.kinds(), request.address());
  if (!entity) return respond(about("address", entity.error()));
  const auto now = clock.unix_ms();
  if (request.at().empty())
    return entities.inspect(request.address(),
                            [entity = *entity, now, respond](const Result<v1::Snapshot>& snapshot) {
                              answer(respond, [&]() -> Reply {
                                if (!snapshot) return snapshot.error();
                                auto described = describe(entity, *snapshot);
                                if (!described) return described.error();
                                described->set_as_of(to_rfc3339(now));
                                return reply(std::move(*described));
                              });
                            });

  const auto at = from_rfc3339(request.at(), "at");
  if (!at) return respond(at.error());
  if (*at > now)
    return respond(Error{Code::invalid_argument, "time-in-the-future",
                         fmt::format("{} is still to come: it is {} here.", request.at(), to_rfc3339(now)),
                         "/at"});
  answer_later(
      entities, respond,
      [&journal = entities.journal(), &kinds = entities.kinds(), entity = *entity, at = *at]() -> Reply {
        const auto past = past_of(journal, kinds, entity.to, Moment{.time = at});
        if (!past) return past.error();
        auto described = describe(entity, *past);
        described.set_as_of(to_rfc3339(at));
        return reply(std::move(described));
      });
}

Result<HistoryQuery> query_of(const v1::ListEntityHistoryRequest& request) {
  HistoryQuery query;
  query.after = request.after();
  query.limit = limit_of(request);
  for (const auto& [text, field, bound] : {std::tuple(&request.since(), "since", &query.since),
                                           std::tuple(&request.until(), "until", &query.until)}) {
    if (text->empty()) continue;
    const auto time = from_rfc3339(*text, field);
    if (!time) return time.error();
    *bound = *time;
  }
  return query;
}

void list_entity_history(const Entities& entities, const v1::ListEntityHistoryRequest& request,
                         const Responder& respond) {
  const auto entity = route(entities.kinds(), request.address());
  if (!entity) return respond(about("address", entity.error()));
  const auto query = query_of(request);
  if (!query) return respond(query.error());
  answer_later(entities, respond,
               [&journal = entities.journal(), &kinds = entities.kinds(), entity = *entity,
                query = *query]() -> Reply {
                 const auto page = history(journal, kinds, entity.to, query);
                 if (!page) return page.error();
                 v1::ListEntityHistoryReply listed;
                 listed.set_address(entity.to);
                 listed.set_kind(entity.kind->name());
                 listed.set_shard(entity.shard);
                 listed.set_forgotten(page->forgotten);
                 for (const auto& record : page->records)
                   *listed.add_records() = describe(*entity.kind, record);
                 listed.set_next(page->next);
                 return reply(std::move(listed));
               });
}

void list_shards(const Entities& entities, const Clock& clock, const Responder& respond) {
  entities.shards([&clock, respond](const std::vector<ShardStatus>& shards) {
    v1::ListShardsReply listed;
    listed.set_as_of(to_rfc3339(clock.unix_ms()));
    for (const auto& shard : shards) *listed.add_shards() = describe(shard);
    respond(reply(std::move(listed)));
  });
}

Result<v1::DeadLetter> read_dead_letter(const std::string& id, std::string_view bytes) {
  v1::DeadLetter letter;
  if (letter.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return letter;
  return Error{
      Code::internal, "corrupt",
      fmt::format("Dead letter {} is not what was written. Restore the data directory from a backup.", id),
      ""};
}

Reply list_dead_letters(const Journal& journal, const DeadLetterPlace& after, std::size_t limit) {
  v1::ListDeadLettersReply listed;
  const auto full = [&] { return !listed.next().empty(); };
  std::optional<Error> broken;
  for (auto shard = after.shard; shard < kShards && !full(); ++shard) {
    const std::string from = shard == after.shard ? after.key : "";
    const auto error =
        journal.scan(Table::dead_letters, shard, from, [&](std::string_view key, std::string_view value) {
          if (key == from) return true;
          auto& letters = *listed.mutable_dead_letters();
          if (static_cast<std::size_t>(letters.size()) == limit) {
            listed.set_next(letters.rbegin()->id());
            return false;
          }
          const auto letter = read_dead_letter(fmt::format("of shard {}", shard), value);
          if (letter)
            *letters.Add() = describe(*letter);
          else
            broken = letter.error();
          return !broken;
        });
    if (error) return *error;
    if (broken) return *broken;
  }
  return reply(std::move(listed));
}

void list_dead_letters(const Entities& entities, const v1::ListDeadLettersRequest& request,
                       const Responder& respond) {
  const auto limit = limit_of(request);
  DeadLetterPlace after{0, ""};
  if (!request.cursor().empty()) {
    const auto place = parse_dead_letter(request.cursor());
    if (!place) return respond(about("cursor", place.error()));
    after = *place;
  }
  answer_later(entities, respond, [&journal = entities.journal(), after = std::move(after), limit = limit] {
    return list_dead_letters(journal, after, limit);
  });
}

void get_dead_letter(const Entities& entities, const v1::GetDeadLetterRequest& request,
                     const Responder& respond) {
  const auto place = parse_dead_letter(request.id());
  if (!place) return respond(about("id", place.error()));
  answer_later(
      entities, respond, [&journal = entities.journal(), place = *place, id = request.id()]() -> Reply {
        const RowKey key{place.shard, place.key};
        const auto row = std::move(journal.get(Table::dead_letters, {&key, 1}).front());
        if (!row) return row.error();
        if (!*row)
          return Error{Code::not_found, "no-dead-letter",
                       fmt::format("There is no dead letter {}; it may have been replayed or discarded.", id),
                       "/id"};
        const auto letter = read_dead_letter(id, **row);
        if (!letter) return letter.error();
        return reply(describe(*letter));
      });
}

template <class Answer>
void resolve(const Entities& entities, const std::string& id, Entities::DeadLetterVerb verb,
             const Responder& respond) {
  if (const auto place = parse_dead_letter(id); !place) return respond(about("id", place.error()));
  entities.resolve(id, verb, [respond](const std::optional<Error>& error) {
    respond(error ? Reply(*error) : reply(Answer()));
  });
}

/// Adds a method whose handler takes the method's own request type.
template <class Request, class Handler>
void add(Services& services, const char* name, Handler handler) {
  services.add(fmt::format("cx.v1.Operations.{}", name),
               Services::Unary([handler = std::move(handler)](const CallContext&, const auto& request,
                                                              const Responder& respond) {
                 handler(static_cast<const Request&>(*request), respond);
               }));
}

}  // namespace

void add_operations(Services& services, Metrics& metrics, const Entities& entities, const Clock& clock,
                    std::function<bool()> draining) {
  add<v1::TopologyRequest>(
      services, "Topology",
      [&metrics, &clock, draining = std::move(draining)](const auto&, const Responder& respond) {
        v1::TopologyReply topology;
        topology.set_as_of(to_rfc3339(clock.unix_ms()));
        auto& node = *topology.add_nodes();
        metrics.fill(node);
        node.set_state(draining() ? "draining" : "ok");
        respond(reply(std::move(topology)));
      });
  add<v1::VersionRequest>(services, "Version", [](const auto&, const Responder& respond) {
    v1::VersionReply version;
    version.set_version(std::string(kVersion));
    version.set_commit(std::string(kCommit));
    version.set_build(std::string(kBuild));
    respond(reply(std::move(version)));
  });
  add<v1::GetEntityRequest>(services, "GetEntity", [&](const auto& request, const Responder& respond) {
    get_entity(entities, clock, request, respond);
  });
  add<v1::ListEntityHistoryRequest>(services, "ListEntityHistory",
                                    [&](const auto& request, const Responder& respond) {
                                      list_entity_history(entities, request, respond);
                                    });
  add<v1::ListShardsRequest>(services, "ListShards", [&](const auto&, const Responder& respond) {
    list_shards(entities, clock, respond);
  });
  add<v1::ListDeadLettersRequest>(
      services, "ListDeadLetters",
      [&](const auto& request, const Responder& respond) { list_dead_letters(entities, request, respond); });
  add<v1::GetDeadLetterRequest>(
      services, "GetDeadLetter",
      [&](const auto& request, const Responder& respond) { get_dead_letter(entities, request, respond); });
  add<v1::ReplayDeadLetterRequest>(
      services, "ReplayDeadLetter", [&](const auto& request, const Responder& respond) {
        resolve<v1::ReplayDeadLetterReply>(entities, request.id(), Entities::DeadLetterVerb::replay, respond);
      });
  add<v1::DiscardDeadLetterRequest>(services, "DiscardDeadLetter",
                                    [&](const auto& request, const Responder& respond) {
                                      resolve<v1::DiscardDeadLetterReply>(
                                          entities, request.id(), Entities::DeadLetterVerb::discard, respond);
                                    });
}

}  // namespace cx
