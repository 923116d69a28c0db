#include "providers/channels/standard_webhooks.hpp"

#include <boost/json/parse.hpp>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <rapidcheck.h>

namespace cx::channels {
namespace {

namespace fs = std::filesystem;

constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr char kOther[] = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr std::int64_t kNow = 1614265330;

WebhookSecrets secrets(const std::string& text) {
  auto parsed = WebhookSecrets::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

/// The folder of the conformance data, next to the repository or above it.
fs::path shared_folder() {
  if (const char* named = std::getenv("CX_SHARED")) return named;
  for (fs::path at = CX_SOURCE_DIR; at != at.root_path(); at = at.parent_path())
    if (fs::exists(at.parent_path() / "shared" / "conformance")) return at.parent_path() / "shared";
  return {};
}

}  // namespace

TEST_CASE("the vectors of Standard Webhooks") {
  const auto path = shared_folder() / "conformance" / "webhooks" / "standard_webhooks.json";
  if (!fs::exists(path)) {
    MESSAGE("SKIPPED: no conformance data; set CX_SHARED to the folder that holds conformance/webhooks");
    return;
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto all = boost::json::parse(text);
  for (const auto& one : all.at("sign").as_array()) {
    const auto get = [&](const char* name) { return std::string(one.at(name).as_string()); };
    const auto timestamp = std::stoll(get("webhook-timestamp"));
    const auto keys = secrets(get("secret"));
    CHECK(keys.sign(get("webhook-id"), timestamp, get("payload")) == get("webhook-signature"));
    CHECK_FALSE(keys.verify(get("webhook-id"), get("webhook-timestamp"), get("webhook-signature"),
                            get("payload"), timestamp));
  }
}

TEST_CASE("what is signed otherwise is not accepted") {
  const auto keys = secrets(kSecret);
  const std::string id = "msg_1", at = std::to_string(kNow), body = R"({"test": 2432232314})";
  const auto signature = keys.sign(id, kNow, body);
  const auto refused = [&](const std::string& i, const std::string& t, const std::string& s,
                           const std::string& b,
                           std::int64_t now = kNow) { return keys.verify(i, t, s, b, now).has_value(); };
  CHECK_FALSE(refused(id, at, signature, body));
  CHECK_FALSE(refused(id, at, "v2,x v1,AAAA v1a,y " + signature + " v1,zz", body));
  CHECK_FALSE(refused(id, at, signature, body, kNow + 300));
  CHECK_FALSE(refused(id, at, signature, body, kNow - 300));

  CHECK(refused("", at, signature, body));
  CHECK(refused(id, "", signature, body));
  CHECK(refused(id, at, "", body));
  CHECK(refused("msg_2", at, signature, body));
  CHECK(refused(id, at + "1", signature, body));
  CHECK(refused(id, at + ".0", signature, body));
  CHECK(refused(id, "x", signature, body));
  CHECK(refused(id, "-1", signature, body));
  CHECK(refused(id, "99999999999999999999", signature, body));
  CHECK(refused(id, at, signature, body, kNow + 301));
  CHECK(refused(id, at, signature, body, kNow - 301));
  CHECK(refused(id, at, signature, R"({"test":2432232314})"));
  CHECK(refused(id, at, "v2" + signature.substr(2), body));
  CHECK(refused(id, at, signature.substr(3), body));
  CHECK(refused(id, at, signature.substr(0, signature.size() - 4), body));
  CHECK(refused(id, at, secrets(kOther).sign(id, kNow, body), body));
  auto other = signature;
  other[other.size() - 3] = other[other.size() - 3] == 'A' ? 'B' : 'A';
  CHECK(refused(id, at, other, body));
}

TEST_CASE("secrets are rotated: all sign, any is accepted") {
  const auto both = secrets(std::string(kOther) + "  " + kSecret);
  const auto signature = both.sign("m", kNow, "x");
  const auto at = std::to_string(kNow);
  CHECK(std::count(signature.begin(), signature.end(), ' ') == 1);
  CHECK_FALSE(secrets(kSecret).verify("m", at, signature, "x", kNow));
  CHECK_FALSE(secrets(kOther).verify("m", at, signature, "x", kNow));
  CHECK_FALSE(both.verify("m", at, secrets(kSecret).sign("m", kNow, "x"), "x", kNow));
  CHECK_FALSE(secrets(std::string(kSecret).substr(6)).verify("m", at, signature, "x", kNow));  // no prefix
}

TEST_CASE("secrets that are none are refused, and not quoted") {
  for (const std::string bad :
       {"", " ", "whsec_", "short", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw short"}) {
    CAPTURE(bad);
    const auto parsed = WebhookSecrets::parse(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().type == "invalid-secret");
    CHECK(parsed.error().detail.find("MfKQ9") == std::string::npos);
  }
  CHECK_FALSE(WebhookSecrets::parse(std::string(120, 'A')));  // 90 bytes
}

TEST_CASE("whatever is signed is verified, and nothing that was changed") {
  rc::check([](const std::string& id, const std::string& body, std::uint8_t flip) {
    RC_PRE(!id.empty());
    const auto keys = secrets(kSecret);
    auto signature = keys.sign(id, kNow, body);
    RC_ASSERT(!keys.verify(id, std::to_string(kNow), signature, body, kNow));
    auto changed = body;
    if (changed.empty())
      changed = "x";
    else
      changed[flip % changed.size()] ^= 1;
    RC_ASSERT(keys.verify(id, std::to_string(kNow), signature, changed, kNow).has_value());
  });
}

}  // namespace cx::channels
