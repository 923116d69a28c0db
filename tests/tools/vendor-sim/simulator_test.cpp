#include "tools/vendor-sim/simulator.hpp"

#include <boost/json/parse.hpp>
#include <chrono>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace cx::vendor_sim {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;

constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr char kMail[] =
    R"({"personalizations":[{"to":[{"email":"a@b.example"}]}],"from":{"email":"n@b.example"},
  "subject":"s","content":[{"type":"text/plain","value":"x"}],"custom_args":{"message_id":"m-1"}})";

Simulator::Request request(http::verb verb, const std::string& target, const std::string& body = "") {
  Simulator::Request made(verb, target, 11);
  made.body() = body;
  made.set(http::field::content_type, "application/json");
  return made;
}
Simulator::Request mail(const std::string& body, const std::string& key = "SG.key") {
  auto made = request(http::verb::post, "/v3/mail/send", body);
  if (!key.empty()) made.set(http::field::authorization, "Bearer " + key);
  return made;
}
Simulator::Request hook(const std::string& id, const std::string& body,
                        const std::string& path = "/hooks/a") {
  auto made = request(http::verb::post, path, body);
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  made.set("webhook-id", id);
  made.set("webhook-timestamp", std::to_string(now));
  made.set("webhook-signature", channels::WebhookSecrets::parse(kSecret)->sign(id, now, body));
  return made;
}
json::value get(Simulator& simulator, const std::string& target) {
  const auto answer = simulator.handle(request(http::verb::get, target));
  REQUIRE(answer.response.result_int() == 200);
  return json::parse(answer.response.body());
}
void behave(Simulator& simulator, std::string how) {
  for (auto& c : how) c = c == '\'' ? '"' : c;
  REQUIRE(simulator.handle(request(http::verb::post, "/_sim/behaviour", how)).response.result_int() == 204);
}

Options options() {
  Options made;
  made.key = "SG.key";
  made.secret = kSecret;
  return made;
}

}  // namespace

TEST_CASE("SendGrid's rules") {
  Simulator simulator(options());
  const auto status = [&](const Simulator::Request& r) { return simulator.handle(r).response.result_int(); };
  const auto with = [](const char* from, const std::string& to) {
    std::string body(kMail);
    return body.replace(body.find(from), std::string(from).size(), to);
  };
  const auto good = simulator.handle(mail(kMail));
  CHECK(good.response.result_int() == 202);
  CHECK(good.response["X-Message-Id"] == "sim-1");
  CHECK(good.response.body().empty());
  CHECK(status(mail(kMail, "")) == 401);
  CHECK(status(mail(kMail, "SG.other")) == 401);
  CHECK(status(mail("{")) == 400);
  CHECK(status(mail("[]")) == 400);
  CHECK(status(mail("{}")) == 400);
  CHECK(status(mail(with("a@b.example", "nobody"))) == 400);
  CHECK(status(mail(with("n@b.example", ""))) == 400);
  CHECK(status(mail(with(R"("subject":"s")", R"("subject":"")"))) == 400);
  CHECK(status(mail(with(R"("value":"x")", R"("value":"")"))) == 400);
  CHECK(status(mail(with("text/plain", "text/html\",\"value\":\"h\"},{\"type\":\"text/plain"))) == 400);
  CHECK(status(mail(with(R"("m-1")", "1"))) == 400);
  auto text = mail(kMail);
  text.set(http::field::content_type, "text/plain");
  CHECK(status(text) == 415);
  CHECK(status(request(http::verb::get, "/v3/mail/send")) == 405);
  CHECK(status(request(http::verb::post, "/elsewhere")) == 404);
  const auto fault = json::parse(simulator.handle(mail("{}")).response.body());
  CHECK(fault.at("errors").at(0).at("field") == "personalizations");
}

TEST_CASE("what was received is told: how often, how it was signed, what was accepted") {
  Simulator simulator(options());
  simulator.handle(hook("m-1", "{}"));
  simulator.handle(hook("m-1", "{}"));
  simulator.handle(hook("m-2", R"({"a":1})"));
  auto forged = hook("m-3", "{}");
  forged.body() = "{ }";
  CHECK(simulator.handle(forged).response.result_int() == 401);
  simulator.handle(hook("m-1", "{}", "/hooks/b"));

  const auto messages = get(simulator, "/_sim/messages?path=%2Fhooks/a").at("messages").as_array();
  REQUIRE(messages.size() == 3);
  CHECK(messages[0].at("id") == "m-1");
  CHECK(messages[0].at("times") == 2);
  CHECK(messages[0].at("same_body") == true);
  CHECK(messages[1].at("body") == R"({"a":1})");
  CHECK(messages[2].at("accepted") == 0);
  CHECK(messages[2].at("signature") != "ok");
  const auto counts = get(simulator, "/_sim/counts").at("paths").at("/hooks/a");
  CHECK(counts.at("requests") == 4);
  CHECK(counts.at("messages") == 2);
  CHECK(counts.at("duplicates") == 1);
  CHECK(counts.at("bad_signatures") == 1);
  CHECK(counts.at("statuses").at("401") == 1);

  const auto page = get(simulator, "/_sim/messages?limit=2");
  CHECK(page.at("messages").as_array().size() == 2);
  const auto rest =
      get(simulator, "/_sim/messages?after=" + std::to_string(page.at("next").to_number<int>()));
  CHECK(rest.at("messages").as_array().size() == 2);
  simulator.handle(request(http::verb::delete_, "/_sim/messages"));
  CHECK(get(simulator, "/_sim/messages").at("messages").as_array().empty());
}

TEST_CASE("behaviour is by path, by share and for a while") {
  Simulator simulator(options());
  const auto status = [&](const std::string& path = "/hooks/a") {
    return simulator.handle(hook("m", "{}", path)).response.result_int();
  };
  behave(simulator, "{'path':'/hooks/a','mode':'throttle','retry_after':3,'count':2}");
  const auto throttled = simulator.handle(hook("m", "{}"));
  CHECK(throttled.response.result_int() == 429);
  CHECK(throttled.response["Retry-After"] == "3");
  CHECK(status("/hooks/b") == 200);
  CHECK(status() == 429);
  CHECK(status() == 200);
  behave(simulator, "{'path':'*','mode':'error','status':502}");
  CHECK(status("/hooks/b") == 502);
  behave(simulator, "{'path':'/hooks/b','mode':'ok'}");
  CHECK(status("/hooks/b") == 200);
  simulator.handle(request(http::verb::delete_, "/_sim/behaviour"));
  CHECK(status() == 200);
  behave(simulator, "{'path':'/hooks/a','mode':'error','share':0.3}");
  int hit = 0;
  for (int i = 0; i < 1000; ++i) hit += status() == 503;
  CHECK(hit > 240);
  CHECK(hit < 360);
  behave(simulator, "{'path':'/hooks/a','mode':'hang'}");
  CHECK(simulator.handle(hook("m", "{}")).way == Answer::Way::hang);
  for (const auto* bad : {"", "{", "[]", "{}", R"({"path":"/hooks/a"})", R"({"path":"/hooks/a","mode":"x"})"})
    CHECK(simulator.handle(request(http::verb::post, "/_sim/behaviour", bad)).response.result_int() == 400);
}

TEST_CASE("the log has a line before there is an answer") {
  const auto path = std::filesystem::temp_directory_path() / ("cx-vendor-sim-" + std::to_string(::getpid()));
  auto with_log = options();
  with_log.log = path.string();
  {
    Simulator simulator(with_log);
    simulator.handle(hook("m-1", "{\"a\":\"\n\"}"));
    std::ifstream file(path);
    std::string line;
    REQUIRE(std::getline(file, line));
    const auto read = json::parse(line);
    CHECK(read.at("id") == "m-1");
    CHECK(read.at("accepted") == true);
    CHECK(read.at("status") == 200);
    CHECK(read.at("body") == "{\"a\":\"\n\"}");
  }
  std::filesystem::remove(path);
  with_log.log = "/nowhere/at/all";
  CHECK_THROWS(Simulator(with_log));
  auto bad = options();
  bad.secret = "x";
  CHECK_THROWS(Simulator(bad));
}

}  // namespace cx::vendor_sim
