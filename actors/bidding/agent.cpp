#include "actors/bidding/agent.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <random>
#include <unordered_map>

#include "actors/bidding/openrtb/parser.hpp"
#include "actors/bidding/response.hpp"
#include "cx/v1/customer.pb.h"
#include "cx/v1/decision.pb.h"
#include "runtime/agents.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/metered.hpp"
#include "runtime/random.hpp"
#include "runtime/uuid.hpp"

namespace cx::bidding {
namespace {

using deadline_atom = caf::atom_constant<caf::atom("deadline")>;
using std::chrono::milliseconds;

// Deadlines are checked this often; the margin that is kept back from tmax covers it.
constexpr milliseconds kDeadlineTick{5};
// A bid never takes longer than this, whatever its tmax says.
constexpr std::int64_t kLongestMs = 1'000;

/// One bid request on its way. Reused, so that its buffers are.
struct Conversation {
  RawRequest raw;
  openrtb::Document document;
  openrtb::Request request;
  SteadyTime deadline;
  Currency currency;
  std::string customer;  // address; empty for anonymous
  std::vector<std::size_t> imps;
  std::vector<Opportunity> opportunities;
  bool recorded = false;    // what is bid is kept: for somebody, whose profile may be used
  std::int64_t tier = 100;  // percent
  std::size_t granted = 0;  // impressions reserved, or the number wanted when anonymous
  std::int64_t reserved_at = 0;
};

template <class T>
std::span<const T> view(const google::protobuf::RepeatedField<T>& field) {
  return {field.data(), static_cast<std::size_t>(field.size())};
}

RawReply no_bid(Nbr reason) {
  auto reply = RawReply::empty();
  reply.metadata.emplace_back("x-openrtb-nbr", std::to_string(static_cast<int>(reason)));
  return reply;
}

class BidAgent : public Metered<caf::event_based_actor> {
 public:
  BidAgent(caf::actor_config& config, AgentParts parts)
      : Metered(config, *parts.kind), parts_(std::move(parts)), random_(std::random_device{}()) {}

 protected:
  caf::behavior make_behavior() override {
    return {[this](RawRequest& raw) { begin(std::move(raw)); }, [this](deadline_atom) { expire(); }};
  }

 private:
  using Id = std::uint64_t;

  void begin(RawRequest raw) {
    auto conversation = take();
    Conversation& c = *conversation;
    c.raw = std::move(raw);
    if (auto error = parser_.parse(c.raw.body, c.document, c.request)) {
      parts_.bids->invalid.add();
      c.raw.reply(RawReply::failure(std::move(*error)));
      return give_back(std::move(conversation));
    }
    const Rules& rules = *parts_.rules;
    const auto tmax = c.request.tmax_ms > 0 ? c.request.tmax_ms : rules.default_tmax_ms;
    c.deadline = c.raw.received + milliseconds(std::min(tmax, kLongestMs) - rules.margin_ms);
    const Id id = ++last_id_;
    conversations_.emplace(id, std::move(conversation));
    if (late(c)) return time_out(id);

    if (c.raw.caller->tenant != parts_.tenant) return decline(id, Nbr::unknown);  // it has no offers
    const auto currency = choose_currency(c.request, rules.currencies);
    if (!currency || !seat_allowed(c.request, rules.seat)) return decline(id, Nbr::unknown);
    c.currency = *currency;
    c.imps = biddable_imps(c.request, rules, openrtb::kMaxImps);
    if (c.imps.empty()) return decline(id, Nbr::unknown);
    ask_customer(id, c);
  }

  void ask_customer(Id id, Conversation& c) {
    const Rules& rules = *parts_.rules;
    const auto key = customer_key(c.request);
    if (key.empty()) {
      if (!rules.bid_anonymous) return decline(id, Nbr::unknown);
      c.customer.clear();
      v1::ImpressionsGranted nobody;
      nobody.set_granted(static_cast<std::uint32_t>(c.imps.size()));
      return ask_inference(id, c, nobody, nullptr);
    }
    c.customer = "customer/" + parts_.tenant + '/' + key;
    auto reserve = std::make_shared<v1::ReserveImpressions>();
    reserve->set_count(static_cast<std::uint32_t>(c.imps.size()));
    *reserve->mutable_cap() = rules.cap;
    auto command = parts_.customers->request(c.customer, std::move(reserve));
    if (!command) return fail(id);
    watch_deadlines();
    request(parts_.customers->region(command->shard), caf::infinite, std::move(*command))
        .then(
            [this, id, customer = c.customer](const MessagePtr& grant) {
              on_grant(id, customer, static_cast<const v1::ImpressionsGranted&>(*grant));
            },
            [this, id](const caf::error&) { fail(id); });
  }

  void on_grant(Id id, const std::string& customer, const v1::ImpressionsGranted& grant) {
    Conversation* c = find(id);
    if (c == nullptr) return release(customer, grant.granted(), grant.reserved_at());  // answered meanwhile
    c->granted = grant.granted();
    c->reserved_at = grant.reserved_at();
    if (c->granted == 0) return decline(id, Nbr::daily_reader_cap);
    if (late(*c)) return time_out(id);
    ask_inference(id, *c, grant, may_personalise(c->request) ? &grant.profile() : nullptr);
  }

  void ask_inference(Id id, Conversation& c, const v1::ImpressionsGranted& grant,
                     const v1::Profile* profile) {
    c.granted = grant.granted();
    c.recorded = profile != nullptr;
    c.tier = profile == nullptr ? 100 : tier_percent(profile->loyalty().tier());
    const auto segments = profile == nullptr ? std::span<const std::uint32_t>{} : view(profile->segments());
    FeatureContext context{parts_.clock->unix_ms(),      grant.last_seen(),           grant.used_hour(),
                           parts_.rules->cap.per_hour(), c.request.device.devicetype, 0};
    v1::Predict predict;
    predict.set_deadline(c.deadline.time_since_epoch().count());
    c.opportunities.clear();
    for (const auto index : c.imps) {
      const auto& imp = c.request.imps[index];
      auto rows = find_candidates(c.request, imp, *parts_.catalog, segments, parts_.rules->candidates);
      if (rows.empty()) continue;
      context.position = imp.banner ? imp.banner->pos : imp.video->pos;
      const auto features = make_features(profile, context);
      auto& item = *predict.add_items();
      item.set_features(features.data(), sizeof(features));
      item.mutable_offers()->Assign(rows.begin(), rows.end());
      c.opportunities.push_back(
          {index, std::move(rows), c.recorded ? pack_features(features) : std::string()});
    }
    if (c.opportunities.empty()) return decline(id, Nbr::unknown);
    watch_deadlines();
    request(parts_.inference, caf::infinite, std::move(predict))
        .then([this, id](const v1::Predicted& predicted) { on_scores(id, predicted); },
              [this, id](const caf::error&) { fail(id); });
  }

  void on_scores(Id id, const v1::Predicted& predicted) {
    Conversation* c = find(id);
    if (c == nullptr) return;
    if (late(*c)) return time_out(id);
    std::vector<std::span<const float>> scores;
    for (const auto& item : predicted.items()) scores.push_back(view(item.values()));
    const auto choices = choose(c->request, c->opportunities, scores, *parts_.catalog, *parts_.rules,
                                c->currency, c->tier, c->granted);
    if (choices.empty()) return decline(id, Nbr::unknown);
    const auto decision = uuid7(parts_.clock->unix_ms(), random_.next(), random_.next());
    auto reply = RawReply::document(
        write_response(c->request, choices, *parts_.catalog, *parts_.rules, c->currency, decision));
    reply.metadata.emplace_back("x-openrtb-version", "2.6");
    parts_.bids->bid.add();
    c->granted -= choices.size();
    if (!c->recorded) return finish(id, std::move(reply));
    c->raw.reply(std::move(reply));
    record(*c, choices, decision, predicted.model());
    end(id);
  }

  void decline(Id id, Nbr reason) {
    parts_.bids->no_bid.add();
    finish(id, no_bid(reason));
  }

  void time_out(Id id) {
    parts_.bids->timeout.add();
    finish(id, no_bid(Nbr::insufficient_auction_time));
  }

  /// Somebody that we need is overloaded or broken: the exchange gets a no-bid, operators see the difference.
  void fail(Id id) {
    if (find(id) == nullptr) return;
    parts_.bids->failed.add();
    finish(id, no_bid(Nbr::technical_error));
  }

  /// Answers, and gives back what is still reserved.
  void finish(Id id, RawReply reply) {
    Conversation& c = *find(id);
    if (!c.customer.empty()) release(c.customer, c.granted, c.reserved_at);
    c.raw.reply(std::move(reply));
    end(id);
  }

  void end(Id id) {
    const auto found = conversations_.find(id);
    auto conversation = std::move(found->second);
    conversations_.erase(found);
    give_back(std::move(conversation));
  }

  void release(const std::string& customer, std::size_t count, std::int64_t reserved_at) {
    if (count == 0) return;
    auto release = std::make_shared<v1::ReleaseImpressions>();
    release->set_count(static_cast<std::uint32_t>(count));
    release->set_reserved_at(reserved_at);
    tell(customer, std::move(release));
  }

  /// What was bid, and by what, goes to the customer's log, together with what is given back.
  void record(Conversation& c, const std::vector<Choice>& choices, std::string_view decision,
              const std::string& model) {
    auto made = std::make_shared<v1::RecordDecisions>();
    made->set_id(std::string(decision));
    made->set_currency(std::string(c.currency.code));
    made->set_model(model);
    made->set_release(static_cast<std::uint32_t>(c.granted));
    made->set_reserved_at(c.reserved_at);
    for (const auto& choice : choices) {
      const auto& offer = parts_.catalog->offer(choice.row);
      auto& bid = *made->add_bids();
      bid.set_offer_id(offer.id());
      bid.set_campaign_id(offer.campaign_id());
      bid.set_score(choice.score);
      bid.set_price_micros(choice.price_micros);
      for (auto& opportunity : c.opportunities) {
        if (opportunity.imp != choice.imp) continue;
        bid.set_candidates(static_cast<std::uint32_t>(opportunity.rows.size()));
        bid.set_features(std::move(opportunity.features));
      }
    }
    tell(c.customer, std::move(made));
  }

  /// Nobody waits for what becomes of it.
  void tell(const std::string& customer, MessagePtr what) {
    if (auto command = parts_.customers->request(customer, std::move(what)))
      send(parts_.customers->region(command->shard), std::move(*command));
  }

  bool late(const Conversation& c) const { return parts_.clock->steady() >= c.deadline; }

  void watch_deadlines() {
    if (!watching_) delayed_send(this, kDeadlineTick, deadline_atom::value);
    watching_ = true;
  }

  void expire() {
    watching_ = false;
    std::vector<Id> expired;
    for (const auto& [id, c] : conversations_)
      if (late(*c)) expired.push_back(id);
    for (const auto id : expired) time_out(id);
    if (!conversations_.empty()) watch_deadlines();
  }

  Conversation* find(Id id) {
    const auto found = conversations_.find(id);
    return found == conversations_.end() ? nullptr : found->second.get();
  }

  std::unique_ptr<Conversation> take() {
    if (spare_.empty()) return std::make_unique<Conversation>();
    auto conversation = std::move(spare_.back());
    spare_.pop_back();
    return conversation;
  }

  void give_back(std::unique_ptr<Conversation> conversation) {
    conversation->raw = {};
    conversation->granted = 0;
    conversation->customer.clear();
    if (spare_.size() < 16) spare_.push_back(std::move(conversation));
  }

  const AgentParts parts_;
  openrtb::Parser parser_;
  Random random_;
  Id last_id_ = 0;
  bool watching_ = false;
  std::unordered_map<Id, std::unique_ptr<Conversation>> conversations_;
  std::vector<std::unique_ptr<Conversation>> spare_;
};

}  // namespace

caf::actor spawn_bid_agent(caf::actor_system& system, AgentParts parts) {
  return system.spawn<BidAgent>(std::move(parts));
}

}  // namespace cx::bidding
