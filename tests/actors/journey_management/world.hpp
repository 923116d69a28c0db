#pragma once

#include <doctest/doctest.h>
#include <google/protobuf/util/json_util.h>
#include <memory>
#include <string>

#include "actors/journey/lifecycle.hpp"
#include "cx/v1/delivery.pb.h"
#include "runtime/catalog/rocks_store.hpp"
#include "tests/faults/fault_environment.hpp"

namespace cx::test {

/// A message of what `json` says, with single quotes.
template <class T>
T message_of(std::string json) {
  for (auto& c : json)
    if (c == '\'') c = '"';
  T out;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &out);
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  return out;
}

/// Starts with `event`, or by API where that is empty; sends an e-mail, waits, and ends.
inline v1::Journey journey_of(const std::string& event) {
  return message_of<v1::Journey>(
      "{'title': 'Test', 'trigger': {" +
      (event.empty() ? std::string("'api': {}") : "'event': {'name': '" + event + "'}") +
      "}, 'steps': [{'id': 'hello', 'send': {'channel': 'CHANNEL_EMAIL', 'via': 'mail', 'template': "
      "'hello'}},"
      "{'id': 'pause', 'wait': {'duration': '3600s'}}, {'id': 'end', 'exit': {}}]}");
}

/// A catalog with journeys, and what e-mails need: the channel "mail" and the template "hello"; also a
/// webhook "hook" with its template "hook".
struct World {
  World() {
    auto opened = RocksDocumentStore::open("/data/catalog", environment.files());
    REQUIRE(opened);
    store = std::move(*opened);
    catalog = std::make_unique<Catalog>(*store, environment.clock(), watching);
    journey::define_journeys(*catalog);
    catalog->define<v1::ChannelAccount>("channel", [](const auto&) { return std::nullopt; });
    catalog->define<v1::MessageTemplate>("template", [](const auto&) { return std::nullopt; });
    for (const std::string tenant : {"acme", "bolt"}) {
      v1::ChannelAccount mail, hook;
      mail.mutable_sendgrid()->set_from_email("a@b.c");
      hook.mutable_webhook()->set_url("https://example.com");
      v1::MessageTemplate hello, body;
      hello.mutable_email()->set_subject("Hello");
      body.mutable_webhook()->set_body("{}");
      put("channel", tenant, "mail", mail);
      put("channel", tenant, "hook", hook);
      put("template", tenant, "hello", hello);
      put("template", tenant, "hook", body);
    }
    restart();
  }

  /// Everything but what is stored anew.
  void restart() {
    lifecycle.reset();
    book.reset();
    book = std::make_unique<journey::CatalogBook>(*catalog);
    lifecycle = std::make_unique<journey::Lifecycle>(*catalog, *book);
  }

  std::uint64_t put(const std::string& kind, const std::string& tenant, const std::string& id,
                    const google::protobuf::Message& body) {
    const auto stored = catalog->put({kind, tenant, id}, body, std::nullopt, "user/ana");
    REQUIRE_MESSAGE(stored, stored.error().detail);
    return stored->revision();
  }
  std::uint64_t define(const std::string& tenant, const std::string& id, const std::string& event) {
    return put(journey::kJourneyKind, tenant, id, journey_of(event));
  }

  FaultEnvironment environment;
  ThreadPool watching{1};
  std::unique_ptr<RocksDocumentStore> store;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<journey::CatalogBook> book;
  std::unique_ptr<journey::Lifecycle> lifecycle;
};

}  // namespace cx::test
