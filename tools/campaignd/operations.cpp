#include "tools/campaignd/operations.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cx/v1/operations.pb.h"
#include "cx/v1/options.pb.h"
#include "runtime/address.hpp"
#include "runtime/entity/route.hpp"
#include "tools/campaignd/describe.hpp"
#include "tools/campaignd/gather.hpp"
#include "tools/campaignd/nodes.hpp"
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

/// Has the owner of a shard answer `request`: `here` does, where that is this node.
template <class Request, class Here>
void at_owner(const Operations& operations, std::uint32_t shard, const Request& request,
              const Responder& respond, Here here) {
  if (operations.peers == nullptr || operations.entities.here(shard)) return here();
  const auto topology = operations.peers->topology();
  const auto& owner = topology->placement.shards(static_cast<int>(shard)).owner();
  if (owner.empty() || owner == topology->self)
    return respond(Error{Code::unavailable, "shard-moving",
                         fmt::format("Shard {} is on its way to another node; retry in a second.", shard),
                         ""});
  operations.peers->ask(owner, std::make_shared<Request>(request), respond);
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

v1::TopologyReply topology_here(const Operations& operations) {
  v1::TopologyReply topology;
  topology.set_as_of(to_rfc3339(operations.clock.unix_ms()));
  auto& node = *topology.add_nodes();
  operations.metrics.fill(node);
  node.set_state(operations.draining() ? "draining" : "ok");
  for (std::uint32_t shard = 0; shard < kShards; ++shard)
    if (operations.entities.here(shard)) node.set_shards(node.shards() + 1);
  return topology;
}

void topology(const Operations& operations, const Responder& respond) {
  auto here = topology_here(operations);
  if (operations.peers == nullptr) return respond(reply(std::move(here)));
  ask_all(*operations.peers, std::make_shared<v1::TopologyRequest>(),
          [here = std::move(here), respond](const auto& answers) mutable {
            for (const auto& [member, answer] : answers) {
              const auto* there = answer ? dynamic_cast<const v1::TopologyReply*>(answer->get()) : nullptr;
              if (there != nullptr) {
                here.mutable_nodes()->MergeFrom(there->nodes());
                continue;
              }
              auto& node = *here.add_nodes();
              node.set_name(member.node());
              node.set_state("unreachable");
            }
            respond(reply(std::move(here)));
          });
}

/// Those of this node; of one that stands alone, all.
void shards_here(const Operations& operations, const Responder& respond) {
  operations.entities.shards([operations, respond](const std::vector<ShardStatus>& shards) {
    v1::ListShardsReply listed;
    listed.set_as_of(to_rfc3339(operations.clock.unix_ms()));
    for (const auto& shard : shards)
      if (shard.state != "elsewhere") *listed.add_shards() = describe(shard);
    respond(reply(std::move(listed)));
  });
}

void list_shards(const Operations& operations, const Responder& respond) {
  if (operations.peers == nullptr) return shards_here(operations, respond);
  shards_here(
      operations, Responder([operations, respond](const Reply& own) {
        if (!own) return respond(own);
        ask_all(
            *operations.peers, std::make_shared<v1::ListShardsRequest>(),
            [operations, respond, own = static_cast<const v1::ListShardsReply&>(**own)](const auto& answers) {
              std::vector<const v1::ListShardsReply*> all{&own};
              for (const auto& [member, answer] : answers)
                if (const auto* there =
                        answer ? dynamic_cast<const v1::ListShardsReply*>(answer->get()) : nullptr)
                  all.push_back(there);
              respond(reply(merge_shards(*operations.peers->topology(), own.as_of(), all)));
            });
      }));
}

void get_shard(const Operations& operations, const v1::GetShardRequest& request, const Responder& respond) {
  list_shards(
      operations, Responder([number = request.shard(), respond](const Reply& listed) {
        if (!listed) return respond(listed);
        for (const auto& shard : static_cast<const v1::ListShardsReply&>(**listed).shards())
          if (shard.shard() == number) return respond(reply(shard));
        respond(Error{Code::not_found, "no-shard", fmt::format("There is no shard {}.", number), "/shard"});
      }));
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
void resolve(const Operations& operations, const std::string& id, Entities::DeadLetterVerb verb,
             const Responder& respond) {
  operations.entities.resolve(id, verb, [respond](const std::optional<Error>& error) {
    respond(error ? Reply(*error) : reply(Answer()));
  });
}

template <class Answer, class Request>
void resolve_at_owner(const Operations& operations, const Request& request, Entities::DeadLetterVerb verb,
                      const Responder& respond) {
  const auto place = parse_dead_letter(request.id());
  if (!place) return respond(about("id", place.error()));
  at_owner(operations, place->shard, request, respond,
           [&] { resolve<Answer>(operations, request.id(), verb, respond); });
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

void add_operations(Services& services, const Operations& operations) {
  const auto& entities = operations.entities;
  add<v1::TopologyRequest>(services, "Topology", [operations](const auto&, const Responder& respond) {
    topology(operations, respond);
  });
  add<v1::VersionRequest>(services, "Version", [](const auto&, const Responder& respond) {
    v1::VersionReply version;
    version.set_version(std::string(kVersion));
    version.set_commit(std::string(kCommit));
    version.set_build(std::string(kBuild));
    respond(reply(std::move(version)));
  });
  add<v1::GetEntityRequest>(
      services, "GetEntity", [operations](const auto& request, const Responder& respond) {
        const auto entity = route(operations.entities.kinds(), request.address());
        if (!entity) return respond(about("address", entity.error()));
        const auto here = [&] { get_entity(operations.entities, operations.clock, request, respond); };
        if (!request.at().empty()) return here();  // every node has the log
        at_owner(operations, entity->shard, request, respond, here);
      });
  add<v1::ListEntityHistoryRequest>(services, "ListEntityHistory",
                                    [&entities](const auto& request, const Responder& respond) {
                                      list_entity_history(entities, request, respond);
                                    });
  add<v1::ListShardsRequest>(services, "ListShards", [operations](const auto&, const Responder& respond) {
    list_shards(operations, respond);
  });
  add<v1::GetShardRequest>(services, "GetShard", [operations](const auto& request, const Responder& respond) {
    get_shard(operations, request, respond);
  });
  add<v1::ListDeadLettersRequest>(services, "ListDeadLetters",
                                  [&entities](const auto& request, const Responder& respond) {
                                    list_dead_letters(entities, request, respond);
                                  });
  add<v1::GetDeadLetterRequest>(services, "GetDeadLetter",
                                [&entities](const auto& request, const Responder& respond) {
                                  get_dead_letter(entities, request, respond);
                                });
  add<v1::ReplayDeadLetterRequest>(services, "ReplayDeadLetter",
                                   [operations](const auto& request, const Responder& respond) {
                                     resolve_at_owner<v1::ReplayDeadLetterReply>(
                                         operations, request, Entities::DeadLetterVerb::replay, respond);
                                   });
  add<v1::DiscardDeadLetterRequest>(services, "DiscardDeadLetter",
                                    [operations](const auto& request, const Responder& respond) {
                                      resolve_at_owner<v1::DiscardDeadLetterReply>(
                                          operations, request, Entities::DeadLetterVerb::discard, respond);
                                    });
  add_nodes(services, operations);
}

void answer_question(const Operations& operations, const MessagePtr& question,
                     const Services::Respond& respond) {
  const auto* message = question.get();
  if (dynamic_cast<const v1::TopologyRequest*>(message) != nullptr)
    return respond(reply(topology_here(operations)));
  if (dynamic_cast<const v1::ListShardsRequest*>(message) != nullptr) return shards_here(operations, respond);
  if (const auto* entity = dynamic_cast<const v1::GetEntityRequest*>(message))
    return get_entity(operations.entities, operations.clock, *entity, respond);
  if (const auto* replay = dynamic_cast<const v1::ReplayDeadLetterRequest*>(message))
    return resolve<v1::ReplayDeadLetterReply>(operations, replay->id(), Entities::DeadLetterVerb::replay,
                                              respond);
  if (const auto* discard = dynamic_cast<const v1::DiscardDeadLetterRequest*>(message))
    return resolve<v1::DiscardDeadLetterReply>(operations, discard->id(), Entities::DeadLetterVerb::discard,
                                               respond);
  respond(
      Error{Code::invalid_argument, "unknown-question",
            fmt::format("This node does not answer {}; it may be of another release than the one that asks.",
                        message == nullptr ? "nothing" : message->GetTypeName()),
            ""});
}

}  // namespace cx
