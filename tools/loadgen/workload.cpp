#include "tools/loadgen/workload.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>

#include "tools/loadgen/random.hpp"

namespace cx::loadgen {
namespace {

// Two of three requests want one impression.
constexpr std::array kImps{1, 1, 1, 1, 2, 3};
struct Size {
  int w, h;
};
constexpr std::array<Size, 8> kBannerSizes{
    {{300, 250}, {728, 90}, {320, 50}, {160, 600}, {970, 250}, {300, 600}, {320, 100}, {336, 280}}};
constexpr std::array<Size, 3> kVideoSizes{{{640, 360}, {1280, 720}, {1920, 1080}}};
constexpr std::array kCategories{"IAB1",  "IAB2",  "IAB3",  "IAB7",  "IAB8",
                                 "IAB12", "IAB17", "IAB18", "IAB19", "IAB20"};
constexpr std::array kBlocked{R"("IAB25","IAB26")", R"("IAB25")", R"("IAB24","IAB25","IAB26")",
                              R"("IAB26","IAB9-9")"};
struct Place {
  const char *country, *city, *language;
  double lat, lon;
};
constexpr std::array<Place, 8> kPlaces{{{"USA", "Denver", "en", 39.74, -104.99},
                                        {"USA", "Atlanta", "en", 33.75, -84.39},
                                        {"CAN", "Calgary", "en", 51.05, -114.07},
                                        {"AUS", "Perth", "en", -31.95, 115.86},
                                        {"BRA", "Recife", "pt", -8.05, -34.88},
                                        {"JPN", "Sapporo", "ja", 43.06, 141.35},
                                        {"MEX", "Merida", "es", 20.97, -89.62},
                                        {"IDN", "Bandung", "id", -6.92, 107.61}}};
struct Device {
  int type;
  const char *os, *make, *agent;
};
constexpr std::array<Device, 4> kDevices{
    {{2, "Windows", "PC", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Gecko/20100101 Firefox/128.0"},
     {4, "Android", "Fairphone", "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0"},
     {4, "iOS", "Apple",
      "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"},
     {5, "Android", "Lenovo", "Mozilla/5.0 (Android 13; Tablet; rv:128.0) Gecko/128.0 Firefox/128.0"}}};

template <class List>
const auto& pick(const List& list, Random& random) {
  return list[below(random, static_cast<std::uint32_t>(list.size()))];
}

std::string imp(int number, Random& random) {
  const double floor = 0.05 + below(random, 200) / 100.0;
  std::string media;
  if (below(random, 5) == 0) {
    const Size size = pick(kVideoSizes, random);
    media =
        fmt::format(R"("video":{{"mimes":["video/mp4","video/webm"],"minduration":5,"maxduration":{},)"
                    R"("protocols":[2,3,5,6],"w":{},"h":{},"startdelay":0,"linearity":1,"maxbitrate":{}}})",
                    15 * (1 + below(random, 3)), size.w, size.h, 1500 + 500 * below(random, 6));
  } else {
    const Size size = pick(kBannerSizes, random);
    std::string formats = fmt::format(R"({{"w":{},"h":{}}})", size.w, size.h);
    if (below(random, 3) == 0) {
      const Size other = pick(kBannerSizes, random);
      formats += fmt::format(R"(,{{"w":{},"h":{}}})", other.w, other.h);
    }
    media = fmt::format(
        R"("banner":{{"w":{},"h":{},"format":[{}],"pos":{},"mimes":["image/jpeg","image/png","text/html"],)"
        R"("battr":[1,3]}})",
        size.w, size.h, formats, below(random, 4));
  }
  return fmt::format(R"({{"id":"{}",{},"tagid":"slot-{}","bidfloor":{:.2f},"bidfloorcur":"USD","secure":1}})",
                     number, media, below(random, 100'000), floor);
}

std::string inventory(Random& random) {
  const auto* category = pick(kCategories, random);
  const auto number = below(random, 10'000);
  if (below(random, 5) < 2)
    return fmt::format(
        R"("app":{{"id":"app-{0}","name":"Puzzle {0}","bundle":"com.example.puzzle{0}","cat":["{1}"],)"
        R"("ver":"3.{2}.0","publisher":{{"id":"pub-{3}","name":"Games {3}"}}}})",
        number, category, below(random, 20), number % 500);
  return fmt::format(
      R"("site":{{"id":"site-{0}","name":"Daily {0}","domain":"daily{0}.example","cat":["{1}"],)"
      R"("page":"https://daily{0}.example/2026/story-{2}.html","ref":"https://search.example/?q={2}",)"
      R"("publisher":{{"id":"pub-{3}","name":"Press {3}"}}}})",
      number, category, below(random, 1'000'000), number % 500);
}

std::string device(Random& random) {
  const Place& place = pick(kPlaces, random);
  const Device& model = pick(kDevices, random);
  return fmt::format(
      R"("device":{{"ua":"{}","ip":"203.0.113.{}","devicetype":{},"os":"{}","make":"{}","language":"{}",)"
      R"("lmt":0,"dnt":0,"js":1,"geo":{{"lat":{},"lon":{},"type":2,"country":"{}","city":"{}"}}}})",
      model.agent, below(random, 255), model.type, model.os, model.make, place.language, place.lat, place.lon,
      place.country, place.city);
}

std::string head(const Target& target, std::size_t length) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\nX-OpenRTB-Version: 2.6\r\n"
      "Content-Length: {}\r\n\r\n",
      target.path, target.host, target.key.empty() ? "" : "Authorization: Bearer " + target.key + "\r\n",
      length);
}

/// Where a run of exactly `length` '#' begins; 0 without one.
std::size_t find_digits(std::string_view request, std::size_t length) {
  for (std::size_t at = 0; (at = request.find('#', at)) != std::string_view::npos;) {
    const auto end = std::min(request.find_first_not_of('#', at), request.size());
    if (end - at == length) return at;
    at = end;
  }
  return 0;
}

}  // namespace

Template::Template(const Target& target, std::string_view body)
    : bytes_(head(target, body.size())), body_(bytes_.size()) {
  bytes_ += body;
  request_id_ = find_digits(bytes_, kRequestIdDigits);
  user_id_ = find_digits(bytes_, kUserIdDigits);
}

std::string_view Template::fill(std::uint64_t request_id, std::uint32_t user) {
  if (request_id_ != 0)
    for (std::size_t i = kRequestIdDigits; i-- > 0; request_id >>= 4)
      bytes_[request_id_ + i] = "0123456789abcdef"[request_id & 15];
  if (user_id_ != 0)
    for (std::size_t i = kUserIdDigits; i-- > 0; user /= 10)
      bytes_[user_id_ + i] = static_cast<char>('0' + user % 10);
  return bytes_;
}

std::string_view Template::request_id() const {
  return request_id_ == 0 ? std::string_view()
                          : std::string_view(bytes_).substr(request_id_, kRequestIdDigits);
}

std::vector<Template> generate_bid_requests(const Target& target, std::uint32_t count, std::uint32_t tmax,
                                            std::uint64_t seed) {
  Random random(seed);
  std::vector<Template> requests;
  requests.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string body = fmt::format(R"({{"id":"{:#<{}}","imp":[)", "", Template::kRequestIdDigits);
    const int imps = pick(kImps, random);
    for (int number = 1; number <= imps; ++number) {
      if (number > 1) body += ',';
      body += imp(number, random);
    }
    body += fmt::format(R"(],{},{},"user":{{"id":"u{:#<{}})", inventory(random), device(random), "",
                        Template::kUserIdDigits);
    // The number makes every body distinct.
    body += fmt::format(R"("}},"at":1,"tmax":{},"cur":["USD"],"bcat":[{}],"badv":["rival{}.example"],)"
                        R"("source":{{"tid":"source-{}"}},"regs":{{"coppa":0,"gdpr":0}}}})",
                        tmax, pick(kBlocked, random), below(random, 50), i);
    requests.emplace_back(target, body);
  }
  return requests;
}

Result<std::vector<Template>> read_corpus(const Target& target, const std::string& directory) {
  namespace fs = std::filesystem;
  const auto refuse = [](std::string detail) {
    return Error{Code::invalid_argument, "bad-corpus", "--corpus: " + std::move(detail), ""};
  };
  std::error_code failed;
  std::vector<fs::path> files;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end; entry.increment(failed))
    if (entry->is_regular_file()) files.push_back(entry->path());
  if (failed)
    return refuse(fmt::format("cannot list {}: {}; name a readable directory.", directory, failed.message()));
  if (files.empty()) return refuse(directory + " holds no files; put one request body into each.");
  std::sort(files.begin(), files.end());

  std::vector<Template> requests;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string body(std::istreambuf_iterator<char>(in), {});
    if (!in.good() && !in.eof())
      return refuse(fmt::format("cannot read {}; check its permissions.", file.string()));
    requests.emplace_back(target, body);
  }
  return requests;
}

}  // namespace cx::loadgen
