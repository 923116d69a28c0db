#include <charconv>
#include <fmt/core.h>
#include <optional>
#include <unistd.h>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/commands/no_bid.hpp"
#include "tools/campaignctl/document.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

Outcome<std::string> read_request(const Call& call) {
  const std::string name = call.value("FILE");
  if (name == "-" && call.has("no-input") && isatty(STDIN_FILENO) != 0)
    return usage("the request would be read from the terminal, and --no-input forbids that; name a file");
  return read_input(name, kMaxBody);
}

std::vector<Row> rows_of(const json::value& answer) {
  std::vector<Row> rows;
  for (const auto& seat : list(at(answer, "seatbid"))) {
    for (const auto& bid : list(at(seat, "bid"))) {
      const auto w = plain(at(bid, "w")), h = plain(at(bid, "h"));
      const json::value size =
          w.empty() || h.empty() ? json::value() : json::value(fmt::format("{}x{}", w, h));
      const auto& cur = at(answer, "cur");
      rows.push_back({"bid/" + plain(at(bid, "id")),
                      {{"imp", at(bid, "impid")},
                       {"price", at(bid, "price")},
                       {"cur", cur.is_null() ? json::value("USD") : cur},  // OpenRTB's default
                       {"offer", at(bid, "adid")},
                       {"campaign", at(bid, "cid")},
                       {"size", size},
                       {"creative", at(bid, "crid")},
                       {"seat", at(seat, "seat")},
                       {"domain", at(bid, "adomain")}}});
    }
  }
  return rows;
}

std::string no_bid_note(std::optional<int> code) {
  return code ? fmt::format("no bid: {} (nbr {})", no_bid_reason(*code), *code)
              : "no bid, and no reason was given";
}

std::optional<int> to_int(std::string_view text) {
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return n;
}

Outcome<Report> bid(const Call& call) {
  Request request = request_of("cx.v1.Bidding.Bid");
  auto body = read_request(call);
  if (!body) return body.error();
  request.body = std::move(*body);
  auto response = call.ask(request);
  if (!response) return response.error();

  Report report;
  report.columns = {{"imp"},  {"price"},    {"cur"},        {"offer"},       {"campaign"},
                    {"size"}, {"creative"}, {"seat", true}, {"domain", true}};
  if (response->status == 204) {
    const auto code = to_int(response->fields["x-openrtb-nbr"]);
    report.document = code ? fmt::format("{{\"nbr\":{}}}", *code) : "{}";
    report.notes.push_back(no_bid_note(code));
  } else {
    boost::system::error_code error;
    const auto answer = json::parse(response->body, error);
    if (error || !answer.is_object())
      return Failure{
          Exit::server_failed, "not-a-bid-response",
          fmt::format("the answer to {} is not a JSON object; is the server a campaignd?", request.path), ""};
    report.document = std::move(response->body);
    report.rows = rows_of(answer);
    if (report.rows.empty()) report.notes.push_back(no_bid_note(to_int(plain(at(answer, "nbr")))));
  }
  report.notes.push_back("answered in " + human_ms(response->ms));
  return report;
}

}  // namespace

Command bid_command() {
  Command command{"bid",
                  "Send an OpenRTB 2.6 bid request and show the bids",
                  {"campaignctl bid request.json", "campaignctl bid - -o json < request.json"}};
  command.arguments = {{"FILE", "The bid request, JSON; - reads it from stdin", {}, Offer::files}};
  command.flags = asking();
  command.flags.push_back(kNoHeaders);
  command.effect = Effect::changes;  // it reserves impressions of the user's cap
  command.run = bid;
  return command;
}

}  // namespace cx::ctl
