#include "tools/campaignctl/commands/model_decisions.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <fmt/core.h>

#include "gateways/json/text.hpp"
#include "providers/inference/learning/packed.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/commands/progress.hpp"
#include "tools/campaignctl/text.hpp"
#include "tools/campaignctl/when.hpp"

namespace cx::ctl {
namespace json = boost::json;
namespace learning = inference::learning;

namespace {

using learning::Decisions;
using learning::Kind;

constexpr std::size_t kMaxLine = 1 << 16;
constexpr std::size_t kMaxDecisions = 10'000'000;
constexpr const char* kPage = "1000";

Failure wrong(std::string detail) {
  return {Exit::rejected, "invalid-decision", std::move(detail), ""};
}

std::string_view text_of(const json::value& value) {
  const auto* text = value.if_string();
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}

/// Unix milliseconds.
std::optional<std::int64_t> time_in(const json::value& value) {
  cx::json::Seconds time;
  if (cx::json::read_timestamp(text_of(value), time) != cx::json::Read::good) return std::nullopt;
  return time.seconds * 1'000 + time.nanos / 1'000'000;
}

/// "OUTCOME_CLICK" as the contract has it.
std::optional<Kind> kind_in(std::string_view word) {
  constexpr std::string_view kPrefix = "OUTCOME_";
  if (!word.starts_with(kPrefix)) return std::nullopt;
  std::string lower;
  for (const char c : word.substr(kPrefix.size()))
    lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  return learning::kind_of(lower);
}

class Gatherer {
 public:
  Gatherer(const learning::Question& question, std::optional<std::int64_t> since, bool quiet)
      : decisions_(question), since_(since), progress_(quiet) {}

  /// A cx.v1.Decision, or why it is none.
  std::optional<std::string> add(const json::value& value) {
    learning::Decision decision;
    decision.id = text_of(at(value, "decision_id"));
    decision.offer = text_of(at(value, "offer_id"));
    if (decision.id.empty()) return "it has no decision_id: a line is a decision as decisions list gives it";
    if (decision.offer.empty()) return "it has no offer_id";
    const auto when = time_in(at(value, "decided_at"));
    if (!when) return "its decided_at is no time as 2026-01-31T08:30:00Z";
    decision.at = *when;
    features_.clear();
    if (!cx::json::read_base64(text_of(at(value, "features")), features_) || features_.size() > 256)
      return "its features are not base64 of at most 256 bytes";
    decision.features = {reinterpret_cast<const std::int8_t*>(features_.data()), features_.size()};
    for (const auto& one : list(at(value, "outcomes"))) {
      const auto kind = kind_in(text_of(at(one, "outcome")));
      const auto happened = time_in(at(one, "at"));
      if (!happened) return "an outcome of it has no time";
      if (!kind) continue;  // of a newer node
      auto& first = decision.first[static_cast<std::size_t>(*kind)];
      first = std::min(first.value_or(*happened), *happened);
    }
    ++seen_;
    if (since_ && decision.at < *since_) {
      ++early_;
      return std::nullopt;
    }
    if (decision.offer.size() > 255) return "its offer_id is longer than 255 bytes";
    if (decisions_.add(decision) == Decisions::Fate::taken && !features_.empty()) ++with_features_;
    if (decisions_.size() > kMaxDecisions)
      return fmt::format("more than {} decisions: begin later, with --since", kMaxDecisions);
    progress_.tell([&] { return fmt::format("{} decisions read, {} were shown", seen_, decisions_.size()); });
    return std::nullopt;
  }

  Outcome<Gathered> finish(std::string question) {
    const auto count = [&](Decisions::Fate fate) { return decisions_.count(fate); };
    auto told = fmt::format(
        "{} decisions: {} were shown and are old enough; left out: {} of which nothing says that they were "
        "shown, {} younger than the window, {} told twice, {} before --since",
        seen_, decisions_.size(), count(Decisions::Fate::unseen), count(Decisions::Fate::young),
        count(Decisions::Fate::repeated), early_);
    if (decisions_.size() == 0)
      return Failure{Exit::rejected, "too-few-rows", told + ". Report impressions: POST /v1/outcomes", ""};
    if (with_features_ == 0)
      return Failure{Exit::rejected, "too-few-rows",
                     told + ". None of them has features: list decisions with --features", ""};
    decisions_.sort();
    return Gathered{std::move(decisions_), std::move(question), std::move(told)};
  }

 private:
  Decisions decisions_;
  std::optional<std::int64_t> since_;
  Progress progress_;
  std::string features_;
  std::size_t seen_ = 0, early_ = 0, with_features_ = 0;
};

Outcome<void> read_file(const std::string& path, Gatherer& to) {
  const auto error = learning::read_lines(
      path, kMaxLine, [&](std::string_view line, std::size_t number) -> std::optional<Error> {
        if (line.find_first_not_of(" \t") == line.npos) return {};
        boost::system::error_code broken;
        const auto value = json::parse(json::string_view(line.data(), line.size()), broken);
        const auto problem = broken ? "it is not JSON: " + broken.message() : to.add(value);
        if (!problem) return {};
        return Error{Code::invalid_argument, "invalid-decision",
                     fmt::format("{}:{}: {}", path == "-" ? "stdin" : path, number, *problem), ""};
      });
  if (!error) return {};
  return Failure{error->code == Code::not_found ? Exit::not_found : Exit::rejected, error->type,
                 error->detail, ""};
}

Outcome<void> ask_server(const Call& call, const std::string& since, Gatherer& to) {
  std::string page_token;
  do {
    const auto page = ask_object(
        call, request_of(
                  "cx.v1.Decisions.List",
                  {{"features", "true"}, {"page_size", kPage}, {"from", since}, {"page_token", page_token}}));
    if (!page) return page.error();
    for (const auto& value : list(at(*page, "decisions")))
      if (const auto problem = to.add(value)) return wrong("a decision of the server: " + *problem);
    auto next = plain(at(*page, "next_page_token"));
    if (!next.empty() && next == page_token)
      return Failure{Exit::server_failed, "not-understood", "the server gives the same page again and again",
                     ""};
    page_token = std::move(next);
  } while (!page_token.empty());
  return {};
}

}  // namespace

std::vector<Flag> decision_flags() {
  return {{"decisions",
           0,
           "[=FILE]",
           "The server's decisions, or those of a file (JSON lines; - is stdin)",
           {},
           Offer::files},
          {"outcome",
           0,
           "KIND",
           "With --decisions: what to forecast; click by default",
           {"click", "open", "dismiss", "conversion"}},
          {"window", 0, "TIME",
           "With --decisions: how long after it the outcome counts, as 30m or 7d; 24h by default"},
          kSince};
}

Outcome<Gathered> gather_decisions(const Call& call) {
  const auto word = call.has("outcome") ? call.value("outcome") : std::string("click");
  const auto kind = learning::kind_of(word);
  const auto length = call.has("window") ? call.value("window") : std::string("24h");
  const auto window = parse_span(length);
  if (!kind) return usage(fmt::format("--outcome {} is no outcome", word));
  if (!window) return usage(fmt::format("--window {} is no length of time; write 30m, 24h or 7d", length));
  const auto since = time_of("--since", call.value("since"), Sense::ago);
  if (!since) return since.error();
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  Gatherer gatherer({*kind, window->count(), now.count()},
                    since->empty() ? std::nullopt : time_in(json::value(*since)), call.has("quiet"));
  const auto file = call.value("decisions");
  if (const auto read = file.empty() ? ask_server(call, *since, gatherer) : read_file(file, gatherer); !read)
    return read.error();
  return gatherer.finish(fmt::format("{} within {}", word, length));
}

}  // namespace cx::ctl
