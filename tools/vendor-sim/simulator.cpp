#include "tools/vendor-sim/simulator.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdexcept>
#include <unistd.h>

#include "tools/vendor-sim/sendgrid.hpp"

namespace cx::vendor_sim {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using Mode = Behaviour::Mode;

constexpr std::pair<std::string_view, Mode> kModes[] = {{"ok", Mode::ok},
                                                        {"throttle", Mode::throttle},
                                                        {"error", Mode::error},
                                                        {"hang", Mode::hang},
                                                        {"reset", Mode::reset},
                                                        {"slow", Mode::slow},
                                                        {"accept-then-fail", Mode::accept_then_fail},
                                                        {"duplicate", Mode::duplicate},
                                                        {"redirect", Mode::redirect},
                                                        {"huge", Mode::huge}};
constexpr std::uint64_t kMostListed = 100'000;

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

Answer plain(unsigned status, std::string body, const char* type = "application/json") {
  Answer answer;
  answer.response.result(status);
  if (!body.empty()) answer.response.set(http::field::content_type, type);
  answer.response.body() = std::move(body);
  return answer;
}
Answer complain(unsigned status, std::string what) {
  return plain(status, json::serialize(json::object{{"error", std::move(what)}}));
}

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ec == std::errc{}) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    if (one.starts_with(name) && one.size() > name.size() && one[name.size()] == '=')
      return decode(one.substr(name.size() + 1));
  }
  return {};
}

std::uint64_t number(const std::string& text, std::uint64_t otherwise) {
  std::uint64_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

double number_of(const json::object& object, const char* name, double otherwise) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : otherwise;
}

/// Whether the vendor takes the message for good.
bool accepts(Mode mode) {
  return mode == Mode::ok || mode == Mode::slow || mode == Mode::accept_then_fail ||
         mode == Mode::duplicate || mode == Mode::huge;
}

}  // namespace

Simulator::Simulator(Options options) : options_(std::move(options)), random_(options_.seed) {
  if (!options_.secret.empty()) {
    auto secrets = channels::WebhookSecrets::parse(options_.secret);
    if (!secrets) throw std::runtime_error(secrets.error().detail);
    secrets_ = std::move(*secrets);
  }
  if (options_.log.empty()) return;
  log_ = ::open(options_.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_ < 0)
    throw std::runtime_error(options_.log + " cannot be written; check the path and its permissions.");
}

Simulator::~Simulator() {
  if (log_ >= 0) ::close(log_);
}

Answer Simulator::handle(const Request& request) {
  const auto target = view(request.target());
  const auto question = target.find('?');
  const auto path = target.substr(0, question);
  if (path.starts_with("/_sim/"))
    return control(request, path, question == target.npos ? "" : target.substr(question + 1));
  const bool mail = path == "/v3/mail/send";
  if (!mail && !(path.starts_with("/hooks/") && path.size() > 7))
    return complain(404, "There is no such path.");
  if (request.method() != http::verb::post) return complain(405, "Only POST.");

  auto verdict = mail ? judge_mail(request) : judge_hook(request);
  const std::string name(path);
  auto behaviour = take_behaviour(name);
  if (verdict.status >= 300) behaviour = {};  // it is refused, however the vendor feels
  const bool accepted = verdict.status < 300 && accepts(behaviour.mode);

  Answer answer;
  if (behaviour.mode == Mode::throttle)
    answer = complain(429, "Too many requests.");
  else if (behaviour.mode == Mode::error)
    answer = complain(behaviour.status == 0 ? 503 : behaviour.status, "Told to fail.");
  else if (behaviour.mode == Mode::accept_then_fail)
    answer = complain(behaviour.status == 0 ? 500 : behaviour.status, "Told to fail after it was accepted.");
  else if (behaviour.mode == Mode::redirect)
    answer = plain(302, "");
  else
    answer = plain(verdict.status, verdict.body.empty() ? "" : json::serialize(verdict.body));
  answer.delay = behaviour.delay;
  if (behaviour.mode == Mode::hang) answer.way = Answer::Way::hang;
  if (behaviour.mode == Mode::reset || behaviour.mode == Mode::duplicate) answer.way = Answer::Way::reset;
  if (behaviour.mode == Mode::slow) answer.way = Answer::Way::slow;
  if (behaviour.mode == Mode::huge || behaviour.mode == Mode::slow)
    answer.response.body().assign(behaviour.mode == Mode::huge ? 1 << 20 : 20, 'x');
  if (behaviour.mode == Mode::redirect) answer.response.set(http::field::location, "/hooks/elsewhere");
  if (behaviour.retry_after > 0)
    answer.response.set(http::field::retry_after, std::to_string(behaviour.retry_after));
  if (mail && answer.response.result_int() == 202)
    answer.response.set("X-Message-Id", fmt::format("sim-{}", ++vendor_ids_));

  const bool answers = answer.way == Answer::Way::plain || answer.way == Answer::Way::slow;
  record(name, verdict, request.body(), accepted, answers ? answer.response.result_int() : 0);
  return answer;
}

Simulator::Verdict Simulator::judge_mail(const Request& request) {
  Verdict verdict;
  auto judged = judge_sendgrid(request, options_.key);
  verdict.status = judged.status;
  verdict.body = std::move(judged.body);
  verdict.id = std::move(judged.id);
  return verdict;
}

Simulator::Verdict Simulator::judge_hook(const Request& request) const {
  Verdict verdict;
  verdict.id = std::string(view(request["webhook-id"]));
  verdict.body = {{"ok", true}};
  if (!secrets_) return verdict;
  const auto wrong =
      secrets_->verify(view(request["webhook-id"]), view(request["webhook-timestamp"]),
                       view(request["webhook-signature"]), request.body(), now_us() / 1'000'000);
  verdict.signature = wrong.value_or("ok");
  if (wrong) {
    verdict.status = 401;
    verdict.body = {{"error", *wrong}};
  }
  return verdict;
}

Behaviour Simulator::take_behaviour(const std::string& path) {
  auto found = behaviours_.find(path);
  if (found == behaviours_.end()) found = behaviours_.find(std::string_view("*"));
  if (found == behaviours_.end()) return {};
  auto& behaviour = found->second;
  if (behaviour.share < 1 && random_.uniform() >= behaviour.share) return {};
  const auto taken = behaviour;
  if (behaviour.count && --*behaviour.count == 0) behaviours_.erase(found);
  return taken;
}

void Simulator::record(const std::string& path, const Verdict& verdict, const std::string& body,
                       bool accepted, unsigned status) {
  const auto at = now_us();
  auto& counts = counts_[path];
  ++counts.requests;
  ++counts.statuses[status];
  if (verdict.signature != "ok" && verdict.signature != "none") ++counts.bad_signatures;
  const auto [entry, is_new] = by_id_.try_emplace(path + ' ' + verdict.id, received_.size());
  if (is_new) received_.push_back({path, verdict.id, body, at, 0, 0, true, {}});
  auto& received = received_[entry->second];
  ++received.times;
  received.signature = verdict.signature;
  received.same_body = received.same_body && received.body == body;
  if (accepted) {
    ++counts.accepted;
    ++(++received.accepted == 1 ? counts.messages : counts.duplicates);
  }
  if (log_ < 0) return;
  auto line = json::serialize(json::object{{"at", at},
                                           {"path", path},
                                           {"id", verdict.id},
                                           {"accepted", accepted},
                                           {"status", status},
                                           {"signature", verdict.signature},
                                           {"body", body}});
  line += '\n';
  // One write a line: it is in the file, whole, whoever is killed afterwards.
  if (::write(log_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw std::runtime_error(options_.log + " cannot be written any more.");
}

Answer Simulator::control(const Request& request, std::string_view path, std::string_view query) {
  const auto verb = request.method();
  if (path == "/_sim/behaviour" && verb == http::verb::post) return set_behaviour(request);
  if (path == "/_sim/behaviour" && verb == http::verb::delete_) {
    behaviours_.clear();
    return plain(204, "");
  }
  if (path == "/_sim/messages" && verb == http::verb::get) return messages(query);
  if (path == "/_sim/messages" && verb == http::verb::delete_) {
    received_.clear();
    by_id_.clear();
    counts_.clear();
    return plain(204, "");
  }
  if (path == "/_sim/counts" && verb == http::verb::get) return counts();
  return complain(
      404, "Controls are POST and DELETE /_sim/behaviour, GET and DELETE /_sim/messages, GET /_sim/counts.");
}

Answer Simulator::set_behaviour(const Request& request) {
  boost::system::error_code error;
  const auto value = json::parse(request.body(), error);
  if (error || !value.is_object()) return complain(400, "The body has to be a JSON object.");
  const auto& object = value.get_object();
  const auto text = [&](const char* name) -> std::string_view {
    const auto* at = object.if_contains(name);
    return at != nullptr && at->is_string() ? std::string_view(at->get_string()) : std::string_view();
  };
  const auto* mode = std::find_if(std::begin(kModes), std::end(kModes),
                                  [&](const auto& known) { return known.first == text("mode"); });
  if (mode == std::end(kModes) || text("path").empty()) {
    std::string names;
    for (const auto& [name, _] : kModes) names.append(names.empty() ? "" : ", ").append(name);
    return complain(
        400,
        "path (\"/hooks/a\", or \"*\" for all others) and mode have to be there; modes are " + names + ".");
  }
  Behaviour behaviour;
  behaviour.mode = mode->second;
  behaviour.share = number_of(object, "share", 1);
  const auto within = [&](const char* name, double most) {
    return std::clamp(number_of(object, name, 0), 0.0, most);
  };
  if (const auto count = within("count", 1e15); count >= 1)
    behaviour.count = static_cast<std::uint64_t>(count);
  const auto status = within("status", 599);
  behaviour.status = status < 200 ? 0 : static_cast<unsigned>(status);
  behaviour.retry_after = static_cast<std::uint32_t>(within("retry_after", 1e6));
  behaviour.delay = std::chrono::milliseconds(static_cast<std::int64_t>(within("delay_ms", 3.6e6)));
  behaviours_[std::string(text("path"))] = behaviour;
  return plain(204, "");
}

Answer Simulator::messages(std::string_view query) const {
  const auto path = parameter(query, "path");
  auto at = number(parameter(query, "after"), 0);
  const auto limit = std::min(number(parameter(query, "limit"), 1000), kMostListed);
  json::array list;
  for (; at < received_.size() && list.size() < limit; ++at) {
    const auto& one = received_[at];
    if (!path.empty() && one.path != path) continue;
    list.push_back(json::object{{"id", one.id},
                                {"at", one.at},
                                {"path", one.path},
                                {"body", one.body},
                                {"times", one.times},
                                {"accepted", one.accepted},
                                {"same_body", one.same_body},
                                {"signature", one.signature}});
  }
  return plain(200, json::serialize(json::object{{"messages", std::move(list)}, {"next", at}}));
}

Answer Simulator::counts() const {
  json::object paths;
  for (const auto& [path, counts] : counts_) {
    json::object statuses;
    for (const auto& [status, n] : counts.statuses) statuses[std::to_string(status)] = n;
    paths[path] = json::object{{"requests", counts.requests},
                               {"accepted", counts.accepted},
                               {"messages", counts.messages},
                               {"duplicates", counts.duplicates},
                               {"bad_signatures", counts.bad_signatures},
                               {"statuses", std::move(statuses)}};
  }
  return plain(200, json::serialize(json::object{{"paths", std::move(paths)}}));
}

}  // namespace cx::vendor_sim
