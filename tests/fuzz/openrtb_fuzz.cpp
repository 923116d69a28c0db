#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "actors/bidding/openrtb/parser.hpp"
#include "runtime/raw.hpp"

namespace {

using namespace cx::openrtb;

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "Broken: %s\n", what);
  std::abort();
}

void check(const Request& request) {
  require(!request.id.empty(), "a request has an id");
  require(!request.imps.empty() && request.imps.size() <= kMaxImps, "a request has 1 to 100 impressions");
  require(request.tmax_ms >= 0, "tmax is not negative");
  std::set<std::string_view> ids;
  for (const Imp& imp : request.imps) {
    require(!imp.id.empty() && ids.insert(imp.id).second, "an impression has an id of its own");
    require(imp.banner || imp.video || imp.audio || imp.native, "an impression has a medium");
    require(imp.floor_micros >= 0 && !imp.floor_currency.empty(), "a floor is a price");
    for (const Deal& deal : imp.deals) {
      require(!deal.id.empty() && deal.floor_micros >= 0 && !deal.floor_currency.empty(),
              "a deal has an id and a floor");
    }
    if (imp.banner) {
      for (const Size& size : imp.banner->sizes) require(size.w > 0 && size.h > 0, "a size has two sides");
    }
    if (imp.video) {
      const Video& video = *imp.video;
      require(!video.mimes.empty(), "a video has content types");
      require(video.max_duration == 0 || video.min_duration <= video.max_duration, "durations are a range");
      for (const DurationFloor& floor : video.durfloors)
        require(floor.floor_micros >= 0, "a floor is a price");
    }
  }
}

}  // namespace

/// A parser that has seen other requests must come to the same result as a new one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Parser used_parser;
  static Document used_document;
  static Request used_request;
  std::string body(reinterpret_cast<const char*>(data), size);
  const std::string original = body;
  const auto error = used_parser.parse(body, used_document, used_request);
  require(body == original, "the body stays as it is");

  Document document;
  Request request;
  const auto again = Parser().parse(body, document, request);
  require(error.has_value() == again.has_value(), "reuse changes no verdict");
  if (error) {
    require(error->code == cx::Code::invalid_argument, "only the sender is to blame");
    require(!error->detail.empty() && error->detail == again->detail && error->pointer == again->pointer,
            "reuse changes no complaint");
  } else {
    check(request);
    require(request == used_request, "reuse changes no request");
  }
  return 0;
}
