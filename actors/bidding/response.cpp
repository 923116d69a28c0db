#include "actors/bidding/response.hpp"

#include <fmt/format.h>
#include <iterator>

#include "runtime/json.hpp"

namespace cx::bidding {
namespace {

// AdCOM creative markup types, 2.6 section 4.2.3 `mtype`.
constexpr int kMarkupBanner = 1;
constexpr int kMarkupVideo = 2;

std::string banner_markup(const v1::Offer& offer, std::string_view bid_id) {
  return fmt::format(
      R"(<a href="{}?bid={}" target="_blank"><img src="{}" width="{}" height="{}" alt=""></a>)",
      offer.landing_url(), bid_id, offer.creative_url(), offer.width(), offer.height());
}

// VAST, inline and linear; what we use of it is the same in versions 2 and 3.
std::string video_markup(const v1::Offer& offer, std::string_view bid_id, int version) {
  return fmt::format(
      R"(<VAST version="{}.0"><Ad id="{}"><InLine><AdSystem>campaign-express</AdSystem><AdTitle>{}</AdTitle><Impression/><Creatives>)"
      R"(<Creative id="{}"><Linear><Duration>00:00:{:02}</Duration><VideoClicks><ClickThrough><![CDATA[{}?bid={}]]>)"
      R"(</ClickThrough></VideoClicks><MediaFiles><MediaFile delivery="progressive" type="{}" bitrate="{}" width="{}" )"
      R"(height="{}"><![CDATA[{}]]></MediaFile></MediaFiles></Linear></Creative></Creatives></InLine></Ad></VAST>)",
      version, bid_id, offer.id(), offer.creative_id(), offer.duration_seconds(), offer.landing_url(), bid_id,
      offer.mime(), offer.bitrate_kbps(), offer.width(), offer.height(), offer.creative_url());
}

}  // namespace

void append_units(std::string& out, std::int64_t micros) {
  fmt::format_to(std::back_inserter(out), "{}.{:06}", micros / 1'000'000, micros % 1'000'000);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
}

std::string write_response(const openrtb::Request& request, const std::vector<Choice>& choices,
                           const Catalog& catalog, const Rules& rules, const Currency& currency,
                           std::string_view id) {
  std::string out;
  out.reserve(256 + 800 * choices.size());
  const auto field = [&](std::string_view name, std::string_view text) {
    out += name;
    append_json(out, text);
  };
  field(R"({"id":)", request.id);
  field(R"(,"bidid":)", id);
  field(R"(,"cur":)", currency.code);
  field(R"(,"seatbid":[{"seat":)", rules.seat);
  out += R"(,"bid":[)";
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto& choice = choices[i];
    const auto& offer = catalog.offer(choice.row);
    const bool video = offer.media() == v1::MEDIA_TYPE_VIDEO;
    const auto bid_id = fmt::format("{}-{}", id, i + 1);
    if (i > 0) out += ',';
    field(R"({"id":)", bid_id);
    field(R"(,"impid":)", request.imps[choice.imp].id);
    out += R"(,"price":)";
    append_units(out, choice.price_micros);
    field(R"(,"adid":)", offer.id());
    field(R"(,"cid":)", offer.campaign_id());
    field(R"(,"crid":)", offer.creative_id());
    field(R"(,"adomain":[)", offer.domain());
    field(R"(],"cat":[)", offer.category());
    field(video ? R"(],"adm":)" : R"(],"iurl":)",
          video ? video_markup(offer, bid_id, vast_version(*request.imps[choice.imp].video))
                : offer.creative_url());
    if (!video) field(R"(,"adm":)", banner_markup(offer, bid_id));
    fmt::format_to(std::back_inserter(out), R"(,"w":{},"h":{},"mtype":{})", offer.width(), offer.height(),
                   video ? kMarkupVideo : kMarkupBanner);
    if (video) fmt::format_to(std::back_inserter(out), R"(,"dur":{})", offer.duration_seconds());
    out += '}';
  }
  out += "]}]}";
  return out;
}

}  // namespace cx::bidding
