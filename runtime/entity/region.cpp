#include "runtime/entity/region.hpp"

#include <caf/response_promise.hpp>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>

#include "runtime/entity/messages.hpp"

namespace cx {
namespace {

using tick_atom = caf::atom_constant<caf::atom("cx-tick")>;
using flush_atom = caf::atom_constant<caf::atom("cx-flush")>;

// That a relaxed command waits for others to be written with.
constexpr std::chrono::milliseconds kCompany{10};

bool has_ended(const caf::error& error) {
  return error == caf::sec::request_receiver_down || error.category() == caf::atom("exit");
}

Error nobody_at(const std::string& endpoint) {
  return {Code::unavailable, "unavailable",
          fmt::format("Nobody takes what is sent to {} at the moment; it is tried again.", endpoint), ""};
}

}  // namespace

Error Credits::refusal(std::uint32_t shard) {
  return {
      Code::overloaded, "overloaded",
      fmt::format("Shard {} has as many commands under way as it takes; nothing was done, retry in a second.",
                  shard),
      ""};
}

Region::Region(caf::actor_config& config, KindProbe& probe, Parts parts)
    : Metered(config, probe),
      parts_(std::move(parts)),
      host_(
          parts_.options, parts_.shards, parts_.kinds, parts_.journal, parts_.environment,
          [this](const std::string& kind) -> KindProbe& { return parts_.metrics.kind(kind); }, *this) {}

void Region::enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) {
  if (auto& content = element->content(); content.size() == 1 && content.match_element<Request>(0)) {
    const auto shard = content.get_as<Request>(0).shard;
    if (!parts_.credits->take(shard)) {
      if (element->mid.is_request() && element->sender)
        element->sender->enqueue(caf::make_mailbox_element(ctrl(), element->mid.response_id(), {},
                                                           to_caf(Credits::refusal(shard))),
                                 unit);
      return;
    }
  }
  Metered::enqueue(std::move(element), unit);
}

caf::behavior Region::make_behavior() {
  // Without its region a shard is not served: stray mail must not end it, and a fault of ours must not go
  // unseen.
  set_default_handler(caf::drop);
  set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& failure) -> caf::error {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      fmt::print(stderr, "A region has failed, so that this process cannot go on: {}\n", e.what());
    }
    std::abort();
  });
  set_down_handler([this](caf::down_msg& down) {
    const auto open = deliveries_.find(down.source);
    if (open == deliveries_.end()) return;
    const auto unanswered = std::move(open->second);
    deliveries_.erase(open);
    for (const auto& [delivery, respond] : unanswered)
      respond(nobody_at("an endpoint whose actor has ended"));
  });
  delayed_send(this, std::chrono::milliseconds(Host::kTick), tick_atom::value);
  return {
      [this](Request& request) {
        const auto shard = request.shard;
        if (!current_mailbox_element()->mid.is_request())  // whoever only sends gets no mail back
          return host_.handle(std::move(request), [credits = parts_.credits, shard](const Answer&) {
            credits->give_back(shard);
          });
        host_.handle(std::move(request), [promise = make_response_promise(), credits = parts_.credits,
                                          shard](Answer answer) mutable {
          credits->give_back(shard);
          if (answer)
            promise.deliver(std::move(*answer));
          else
            promise.deliver(to_caf(answer.error()));
        });
      },
      [this](Asked& asked) {
        const auto shard = asked.request.shard;
        host_.handle(std::move(asked.request),
                     [respond = std::move(asked.respond), credits = parts_.credits, shard](Answer answer) {
                       credits->give_back(shard);
                       respond(std::move(answer));
                     });
      },
      [](Run& task) { task.run(); },
      [this](flush_atom) { host_.flush(); },
      [this](tick_atom) {
        host_.tick();
        delayed_send(this, std::chrono::milliseconds(Host::kTick), tick_atom::value);
      },
  };
}

caf::actor Region::self() {
  return caf::actor_cast<caf::actor>(this);
}

void Region::offload(std::function<Then()> work) {
  parts_.reads.post([self = self(), work = std::move(work)] { caf::anon_send(self, Run{work()}); });
}

void Region::commit(std::vector<Append> appends, Committed then) {
  parts_.committer.submit(
      std::move(appends), [self = self(), then = std::move(then)](std::vector<std::optional<Error>> results) {
        caf::anon_send(self, Run{[then, results = std::move(results)] { then(results); }});
      });
}

void Region::send(std::uint32_t from, Request request, Respond respond) {
  const auto to = request.shard;
  parts_.environment.carry(
      from, to,
      [send = parts_.send, self = self(), request = std::move(request), respond = std::move(respond)] {
        send(request, [self, respond](Answer answer) {
          caf::anon_send(self, Run{[respond, answer = std::move(answer)] { respond(answer); }});
        });
      });
}

void Region::deliver(const Endpoint& endpoint, Letter letter, Respond respond) {
  const auto to = parts_.at_endpoint(endpoint.name);
  if (!to)
    return caf::anon_send(
        self(), Run{[respond = std::move(respond), why = nobody_at(endpoint.name)] { respond(why); }});
  const auto by = to.address();
  const auto [open, is_new] = deliveries_.try_emplace(by);
  if (is_new) monitor(to);
  const auto delivery = ++last_delivery_;
  open->second.emplace(delivery, std::move(respond));
  request(to, caf::infinite, std::move(letter))
      .then([this, by, delivery] { answered(by, delivery, MessagePtr()); },
            [this, by, delivery, name = endpoint.name](const caf::error& error) {
              answered(by, delivery, has_ended(error) ? nobody_at(name) : from_caf(error));
            });
}

void Region::answered(const caf::actor_addr& by, std::uint64_t delivery, Answer answer) {
  const auto open = deliveries_.find(by);
  if (open == deliveries_.end()) return;
  const auto found = open->second.find(delivery);
  if (found == open->second.end()) return;
  const auto respond = std::move(found->second);
  open->second.erase(found);
  respond(std::move(answer));
}

void Region::elsewhere(Request request, Respond respond) {
  // While it waits there, it is not under way here; it may come back, with a credit of its own.
  const auto shard = request.shard;
  parts_.credits->give_back(shard);
  parts_.elsewhere(std::move(request), [self = self(), credits = parts_.credits, shard,
                                        respond = std::move(respond)](Answer answer) {
    caf::anon_send(self, Run{[credits, shard, respond, answer = std::move(answer)] {
                     credits->hold(shard);
                     respond(answer);
                   }});
  });
}

void Region::flush_later() {
  delayed_send(this, kCompany, flush_atom::value);
}

}  // namespace cx
