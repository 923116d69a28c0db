#pragma once

#include <atomic>
#include <functional>
#include <google/protobuf/message.h>
#include <memory>
#include <mutex>
#include <string>

#include "cx/v1/config.pb.h"
#include "gateways/auth/directory.hpp"
#include "gateways/auth/documents.hpp"
#include "gateways/auth/signing_keys.hpp"
#include "runtime/catalog/compiled.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/services.hpp"

namespace cx::auth {

using MessagePtr = std::shared_ptr<const google::protobuf::Message>;
/// Sends a command to the entity at an address; `answer` is called once, on any thread, and must not block.
using Ask = std::function<void(const std::string& to, MessagePtr command,
                               std::function<void(Result<MessagePtr>)> answer)>;

/// What every part of this folder works with.
struct Shared {
  v1::AuthConfig config;
  std::string tenant;     ///< the node's own
  std::string operating;  ///< the tenant that runs the node
  const Clock& clock;
  Catalog& catalog;
  Ask ask;
  Executor& work;  ///< for what blocks; not the one on which the catalog runs its watches
  const Compiled<Directory>& directory;
  const SigningKeys& signing_keys;

  /// Edits that have to see all of a tenant are made one after the other.
  mutable std::mutex edits{};
  mutable std::atomic<int> under_way{0};
  static constexpr int kMostUnderWay = 1000;

  /// Runs `task` where it may block, and answers with what it returns; refuses when too much waits already.
  void answer(const Services::Respond& respond, std::function<Services::Reply()> task) const;
  /// Runs `task` where it may block. What it throws is logged.
  void run(std::function<void()> task) const;
  /// Waits until the directory has that change in it, for a second at most: who was told that something is so
  /// may rely on it.
  void settle(std::uint64_t change) const;
  /// An entry in the audit log of a tenant, for a method that is public and thus not audited by the door.
  void audit(const CallContext& call, const std::string& tenant, const std::string& user,
             const std::string& method, const std::optional<Error>& refusal) const;
};

template <class Message>
Services::Reply reply(Message message) {
  return {std::make_shared<const Message>(std::move(message))};
}

/// A document of the catalog with its body.
template <class Body>
struct Stored {
  v1::Document document;
  Body body;
};
template <class Body>
Result<Stored<Body>> read(const Catalog& catalog, const DocumentKey& key) {
  auto document = catalog.get(key);
  if (!document) return document.error();
  auto body = read_body<Body>(*document);
  if (!body) return body.error();
  return Stored<Body>{std::move(*document), std::move(*body)};
}

}  // namespace cx::auth
