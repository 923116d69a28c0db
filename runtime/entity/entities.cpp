#include "runtime/entity/entities.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>
#include <future>
#include <stdexcept>
#include <utility>

#include "runtime/entity/messages.hpp"
#include "runtime/entity/region.hpp"
#include "runtime/entity/route.hpp"

namespace cx {
namespace {

Host& host_of(const caf::actor& region) {
  return dynamic_cast<Region*>(caf::actor_cast<caf::abstract_actor*>(region))->host();
}

constexpr auto kError = caf::atom("cx");

std::uint32_t number(const ShardEpoch& one) {
  return one.shard;
}

std::uint32_t number(std::uint32_t shard) {
  return shard;
}

/// Has the host of each region do something with those of `shards` that it has.
template <class Shards, class Do>
void at_hosts(const std::vector<caf::actor>& regions, const Shards& shards, const Do& act) {
  std::map<std::size_t, std::vector<typename Shards::value_type>> all;
  for (const auto& one : shards) all[number(one) % regions.size()].push_back(one);
  for (auto& [i, some] : all)
    caf::anon_send(regions[i],
                   Run{[to = regions[i], some = std::move(some), act] { act(host_of(to), some); }});
}

}  // namespace

caf::error to_caf(const Error& error) {
  // CAF takes a code of 0 for no error at all.
  return {static_cast<std::uint8_t>(static_cast<int>(error.code) + 1), kError,
          caf::make_message(error.type, error.detail, error.pointer)};
}

Error from_caf(const caf::error& error) {
  if (!error || error.category() != kError ||
      !error.context().match_elements<std::string, std::string, std::string>())
    return {Code::internal, "no-answer", "An actor of this node ended before it answered; retry.", ""};
  const auto& context = error.context();
  return {static_cast<Code>(error.code() - 1), context.get_as<std::string>(0), context.get_as<std::string>(1),
          context.get_as<std::string>(2)};
}

Entities::Entities(Parts parts, const HostOptions& options, bool sync_always, unsigned regions)
    : parts_(std::move(parts)),
      clustered_(options.clustered),
      credits_(std::make_shared<Credits>(options.shard_credit)) {
  auto& probe = parts_.metrics.kind("region");
  for (auto& here : here_) here = !clustered_;
  auto share = options;
  share.max_resident = std::max<std::size_t>(1, options.max_resident / regions);
  share.max_bytes = options.max_bytes / regions;
  share.reminder_lateness = &reminder_lateness_;
  for (unsigned i = 0; i < std::min(parts_.groups, regions); ++i)
    committers_.emplace_back(parts_.journal, parts_.commits, sync_always);
  for (unsigned i = 0; i < regions; ++i) {
    std::vector<std::uint32_t> shards;
    for (auto shard = i; shard < kShards; shard += regions) shards.push_back(shard);
    probe.addresses.push_back(fmt::format("region/system/{}-{:02}", parts_.node, i + 1));
    regions_.push_back(caf::actor_cast<caf::actor>(parts_.system.spawn<Region>(
        probe,
        Region::Parts{
            std::move(shards), share, parts_.kinds, parts_.journal, committers_[i % committers_.size()],
            parts_.reads, parts_.environment, parts_.metrics, credits_,
            [this](Request request, Respond respond) { ask(std::move(request), std::move(respond)); },
            [this](const std::string& endpoint) {
              const std::lock_guard lock(endpoints_mutex_);
              const auto found = endpoints_.find(endpoint);
              return found == endpoints_.end() ? caf::actor() : found->second;
            },
            [this](Request request, Respond respond) {
              caf::anon_send(elsewhere_, Asked{std::move(request), std::move(respond)});
            },
            [this](std::uint32_t shard, bool is) { here_[shard].store(is, std::memory_order_relaxed); },
            [this](ShardEpoch newer) {
              if (lost_) lost_(newer);
            }})));
  }
}

Entities::~Entities() {
  stop();
}

std::optional<Error> Entities::start() {
  if (clustered_ != static_cast<bool>(elsewhere_))
    throw std::logic_error("set_elsewhere() is for nodes of a cluster, and they need it");
  if (clustered_) return std::nullopt;
  std::vector<std::future<std::optional<Error>>> all;
  for (const auto& region : regions_) {
    auto done = std::make_shared<std::promise<std::optional<Error>>>();
    all.push_back(done->get_future());
    caf::anon_send(
        region, Run{[region, done] {
          host_of(region).open([done](std::optional<Error> error) { done->set_value(std::move(error)); });
        }});
  }
  std::optional<Error> first;
  for (auto& one : all)
    if (auto error = one.get(); error && !first) first = std::move(error);
  return first;
}

void Entities::stop() {
  if (std::exchange(stopped_, true)) return;
  std::vector<std::future<void>> all;
  for (const auto& region : regions_) {
    auto done = std::make_shared<std::promise<void>>();
    all.push_back(done->get_future());
    caf::anon_send(region, Run{[region, done] { host_of(region).stop([done] { done->set_value(); }); }});
  }
  for (auto& one : all) one.wait();
  for (const auto& region : regions_) caf::anon_send_exit(region, caf::exit_reason::user_shutdown);
  caf::scoped_actor self{parts_.system};
  self->wait_for(regions_);  // they use what comes after us
  const std::lock_guard lock(endpoints_mutex_);
  endpoints_.clear();
}

std::uint64_t Entities::commits() const {
  std::uint64_t sum = 0;
  for (const auto& committer : committers_) sum += committer.commits();
  return sum;
}

std::uint64_t Entities::appends() const {
  std::uint64_t sum = 0;
  for (const auto& committer : committers_) sum += committer.appends();
  return sum;
}

void Entities::on_followed(const std::function<void(std::uint32_t)>& followed) {
  for (auto& committer : committers_) committer.on_followed(followed);
}

void Entities::take(std::vector<ShardEpoch> shards) {
  at_hosts(regions_, shards, [](Host& host, const auto& some) { host.take(some); });
}

void Entities::release(std::span<const std::uint32_t> shards, std::function<void(std::uint32_t)> released) {
  at_hosts(regions_, shards,
           [released = std::move(released)](Host& host, const auto& some) { host.release(some, released); });
}

void Entities::drop(std::span<const std::uint32_t> shards) {
  at_hosts(regions_, shards, [](Host& host, const auto& some) { host.drop(some); });
}

void Entities::connect(const std::string& endpoint, caf::actor taker) {
  if (parts_.kinds.find_endpoint(endpoint) == nullptr)
    throw std::logic_error(endpoint + " is connected, and is no endpoint of this node");
  {
    const std::lock_guard lock(endpoints_mutex_);
    endpoints_[endpoint] = std::move(taker);
  }
  for (const auto& region : regions_)
    caf::anon_send(region, Run{[region, endpoint] { host_of(region).connected(endpoint); }});
}

Result<Request> Entities::request(std::string_view address, MessagePtr command) const {
  return route(parts_.kinds, address, std::move(command));
}

void Entities::ask(Request request, Respond respond) const {
  const auto shard = request.shard;
  if (!here(shard)) {
    if (request.here_only) return respond(not_here(shard));
    return caf::anon_send(elsewhere_, Asked{std::move(request), std::move(respond)});
  }
  if (!credits_->take(shard)) return respond(Credits::refusal(shard));
  caf::anon_send(region_of(shard), Asked{std::move(request), std::move(respond)});
}

void Entities::inspect(const std::string& address, std::function<void(Result<v1::Snapshot>)> respond) const {
  auto target = route(parts_.kinds, address);
  if (!target) return respond(target.error());
  const auto& to = region_of(target->shard);
  caf::anon_send(to, Run{[to, target = std::move(*target), respond = std::move(respond)] {
                   host_of(to).inspect(target, respond);
                 }});
}

void Entities::shards(std::function<void(std::vector<ShardStatus>)> respond) const {
  struct Gathered {
    std::mutex mutex;
    std::vector<ShardStatus> all;
    std::size_t missing;
  };
  auto gathered = std::make_shared<Gathered>();
  gathered->missing = regions_.size();
  for (const auto& to : regions_)
    caf::anon_send(to, Run{[to, gathered, respond] {
                     const auto some = host_of(to).status();
                     std::lock_guard lock(gathered->mutex);
                     auto& all = gathered->all;
                     all.insert(all.end(), some.begin(), some.end());
                     if (--gathered->missing > 0) return;
                     std::sort(all.begin(), all.end(),
                               [](const auto& a, const auto& b) { return a.shard < b.shard; });
                     respond(std::move(all));
                   }});
}

void Entities::resolve(const std::string& dead_letter, DeadLetterVerb verb,
                       std::function<void(std::optional<Error>)> respond) const {
  const auto place = parse_dead_letter(dead_letter);
  if (!place) return respond(place.error());
  const auto& to = region_of(place->shard);
  caf::anon_send(to, Run{[to, place = *place, verb, respond = std::move(respond)] {
                   host_of(to).resolve(place.shard, place.key, verb == DeadLetterVerb::replay, respond);
                 }});
}

}  // namespace cx
