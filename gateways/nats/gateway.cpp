#include "gateways/nats/gateway.hpp"

#include <fmt/format.h>
#include <map>
#include <spdlog/spdlog.h>
#include <vector>

#include "gateways/http/fields.hpp"
#include "gateways/metadata.hpp"
#include "gateways/nats/call.hpp"
#include "gateways/nats/queue.hpp"
#include "gateways/nats/subjects.hpp"

namespace cx::nats_gateway {

using std::chrono::milliseconds;

namespace {

// Messages that wait for the thread of their subscription. It hands them on without blocking: they wait only
// when more come in than a processor can read.
constexpr std::size_t kPending = 1'024;

constexpr char kQueued[] = "cx.v1.Bidding.Bid";  // what the work queue is of

struct Endpoint {
  const Method& method;
  EndpointProbe& probe;
};

void call_raw(const Method& method, CallerPtr caller, const nats::Incoming& in, std::string payload,
              const std::shared_ptr<Call>& call) {
  const ReplyTo reply(call);
  const auto refuse = [&](std::string type, std::string detail) {
    reply(RawReply::failure({Code::invalid_argument, std::move(type), std::move(detail), ""}));
  };
  if (!field(in, "Idempotency-Key").empty())
    return refuse("idempotency-key-unsupported",
                  method.name + " takes no idempotency key; send the request without one.");
  const auto type = media_type(in);
  if (!type.empty() && !http::same(type, method.content_type))
    return refuse("unsupported-media-type",
                  "Send the payload with Content-Type: " + method.content_type + ".");
  if (method.raw == nullptr) return reply(RawReply::failure(Door::not_served(method)));
  RawRequest raw{std::move(payload), call->received(), reply, std::move(caller)};
  if (method.raw->post(raw)) return;
  reply(RawReply::failure({Code::overloaded, "overloaded",
                           "As many requests are under way as this node takes; retry in a second.", ""}));
}

void call_unary(const Door& door, const Method& method, CallerPtr caller, const nats::Incoming& in,
                const std::string& payload, const std::shared_ptr<Call>& call) {
  const auto form = form_of(in);
  if (!form) return call->fail(form.error());
  auto context = context_of(door, method, std::move(caller), in, call->about.request_id);
  if (!context) return call->fail(context.error());
  auto message = read_request(method, *form, payload, field(in, "If-Match"));
  if (!message) return call->fail(message.error());
  door.call(
      method, std::move(*context), std::move(*message),
      Services::Respond([call, form = *form, &method](const Services::Reply& reply) {
        try {
          call->deliver(write_reply(method, form, reply));
        } catch (const std::exception& e) {
          spdlog::error("{} failed: {}", method.name, e.what());
          call->fail({Code::internal, "internal", method.name + " failed; the node's log says why.", ""});
        }
      }));
}

}  // namespace

class Gateway::Impl {
 public:
  Impl(const v1::NodeConfig& config, nats::Connection& connection, std::span<const Method> methods,
       const Door& door, Metrics& metrics, ReadyCheck ready)
      : config_(config),
        prefix_(config.nats().gateway().prefix()),
        connection_(connection),
        door_(door),
        metrics_(metrics),
        ready_(std::move(ready)),
        outlet_(std::make_shared<Outlet>(connection)),
        unknown_(metrics.endpoint("nats other")),
        patterns_(patterns_of(prefix_, methods)) {
    for (const auto& method : methods)
      endpoints_.emplace(words_of(method), Endpoint{method, metrics.endpoint("nats " + method.name)});
    add_metrics();
  }

  ~Impl() {
    drain(milliseconds(0));
    outlet_->close();
  }

  std::optional<Error> start() {
    for (const auto& pattern : patterns_) {
      auto subscribed = connection_.subscribe(
          pattern, prefix_ + "-gateway", [this](const nats::Incoming& in) { take(in); }, kPending,
          [this, seen = std::uint64_t{0}](std::uint64_t dropped) mutable {
            outlet_->dropped.add(static_cast<std::int64_t>(dropped - seen));
            seen = dropped;
          });
      if (!subscribed) return subscribed.error();
      subscriptions_.push_back(std::move(*subscribed));
    }
    // A round trip, to nobody: after it the server knows the subscriptions.
    if (const auto reply = connection_.request(prefix_, "", {}, milliseconds(config_.nats().timeout_ms()));
        !reply && reply.error().type == "timeout")
      return reply.error();
    return config_.nats().gateway().bid_queue() ? open_queue() : std::nullopt;
  }

  void drain(milliseconds grace) {
    const auto end = std::chrono::steady_clock::now() + grace;
    const auto left = [end] {
      return std::max(milliseconds(0),
                      std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now()));
    };
    for (const auto& subscription : subscriptions_) subscription->drain(left());
    subscriptions_.clear();
    if (queue_) queue_->drain(left());
    outlet_->wait(left());
    queue_.reset();
  }

 private:
  void add_metrics() {
    const auto counter = [this](const char* name, const char* help, Counter Outlet::*of) {
      metrics_.counter(name, help, [o = outlet_, of] { return static_cast<double>((o.get()->*of).value()); });
    };
    counter("cx_nats_unanswered_total",
            "Failures that nobody waited for, and answers that could not be sent.", &Outlet::unanswered);
    counter("cx_nats_misdirected_total", "Requests whose answer was asked for where none may be sent.",
            &Outlet::misdirected);
    counter("cx_nats_dropped_total", "Requests dropped because too many waited to be read.",
            &Outlet::dropped);
  }

  std::optional<Error> open_queue() {
    const Method* queued = nullptr;
    for (const auto& [words, endpoint] : endpoints_)
      if (endpoint.method.name == kQueued) queued = &endpoint.method;
    if (queued == nullptr || queued->raw == nullptr) return std::nullopt;
    const auto& bidding = config_.bidding();
    QueueOptions options;
    options.prefix = prefix_;
    options.replicas = config_.nats().replicas();
    options.timeout = milliseconds(config_.nats().timeout_ms());
    options.credit = bidding.agents() * bidding.agent_credit();
    options.default_tmax = milliseconds(bidding.default_tmax_ms());
    options.max_body = config_.http().max_body();
    auto opened = Queue::open(options, connection_, *queued, door_, metrics_, ready_);
    if (!opened) return opened.error();
    queue_ = std::move(*opened);
    return std::nullopt;
  }

  void take(const nats::Incoming& in) {
    const auto subject = read_subject(prefix_, in.subject);
    if (!in.reply.empty() && !may_answer(prefix_, subject ? subject->tenant : "", in.reply)) {
      outlet_->misdirected.add();
      spdlog::debug("A request over NATS asked for its answer at a subject that is no inbox.");
      return;
    }
    const auto found = subject
                           ? endpoints_.find({std::string(subject->service), std::string(subject->method)})
                           : endpoints_.end();
    const auto call = std::make_shared<Call>(
        outlet_, found == endpoints_.end() ? unknown_ : found->second.probe, std::string(in.reply),
        request_id(field(in, "X-Request-Id"), door_.environment()));
    if (found == endpoints_.end())
      return call->fail(
          {Code::not_found, "unknown-subject",
           fmt::format("There is nothing at {}. Subjects are {}.TENANT.SERVICE.METHOD, in lower "
                       "case; `campaignctl` has the same words.",
                       in.subject.substr(0, 200), prefix_),
           ""});
    const auto& method = found->second.method;
    try {
      serve(method, subject->tenant, in, call);
    } catch (const std::exception& e) {
      spdlog::error("{} failed: {}", method.name, e.what());
      call->fail({Code::internal, "internal", method.name + " failed; the node's log says why.", ""});
    }
  }

  void serve(const Method& method, std::string_view tenant, const nats::Incoming& in,
             const std::shared_ptr<Call>& call) {
    if (!call->enter(config_.nats().gateway().max_requests()))
      return call->fail({Code::overloaded, "overloaded",
                         "As many requests are under way as this node takes; retry in a second.", ""});
    if (in.payload.size() > config_.http().max_body())
      return call->fail({Code::invalid_argument, "body-too-large",
                         fmt::format("The payload has {} bytes; send at most {}.", in.payload.size(),
                                     config_.http().max_body()),
                         ""});
    std::string payload;
    payload.reserve(in.payload.size() + kRawPadding);
    payload = in.payload;
    auto admission = admit(door_, method, tenant, in, payload);
    if (!admission) return call->fail(admission.error());
    call->about.quota = admission->quota;
    if (admission->limited) return call->fail(Door::rate_limited(admission->quota));
    auto& caller = admission->caller;
    if (method.is_raw) {
      call->about.content_type = method.content_type;
      return call_raw(method, std::move(caller), in, std::move(payload), call);
    }
    call_unary(door_, method, std::move(caller), in, payload, call);
  }

  const v1::NodeConfig config_;
  const std::string prefix_;
  nats::Connection& connection_;
  const Door& door_;
  Metrics& metrics_;
  const ReadyCheck ready_;
  const std::shared_ptr<Outlet> outlet_;
  EndpointProbe& unknown_;
  const std::vector<std::string> patterns_;
  std::map<Words, Endpoint> endpoints_;
  std::unique_ptr<Queue> queue_;
  std::vector<std::unique_ptr<nats::Subscription>> subscriptions_;
};

Gateway::Gateway(const v1::NodeConfig& config, nats::Connection& connection, std::span<const Method> methods,
                 const Door& door, Metrics& metrics, ReadyCheck ready)
    : impl_(std::make_unique<Impl>(config, connection, methods, door, metrics, std::move(ready))) {}
Gateway::~Gateway() = default;
std::optional<Error> Gateway::start() {
  return impl_->start();
}
void Gateway::drain(milliseconds grace) {
  impl_->drain(grace);
}

}  // namespace cx::nats_gateway
