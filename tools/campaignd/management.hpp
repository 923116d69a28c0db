#pragma once

#include <cstdint>
#include <memory>

#include "cx/v1/config.pb.h"
#include "gateways/http/server.hpp"
#include "runtime/access/authenticator.hpp"
#include "runtime/catalog/store.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/journal/journal.hpp"
#include "runtime/services.hpp"

namespace cx {

class Catalog;

/// What a node has besides bidding and journeys: definitions, campaigns and who may do what, with the audit
/// log and the lists that are projected from the journal.
class Management {
 public:
  /// Adds the kinds of entities that it is about.
  static void add_kinds(Kinds& kinds);

  /// Opens what is stored below the data directory of `config`; definitions are in `store`. `executor` runs
  /// what blocks. All outlive this.
  static Result<std::unique_ptr<Management>> open(const v1::NodeConfig& config, Environment& environment,
                                                  Journal& journal, DocumentStore& store, Executor& executor,
                                                  Metrics& metrics);
  ~Management();

  /// The shard has new records of those kinds. Cheap, thread-safe.
  void follow(std::uint32_t shard);
  /// Serves its methods and those of every entity that names a target; `entities` runs and outlives this. On
  /// the node's first start it makes the first key.
  std::optional<Error> serve(const Entities& entities, const Kinds& kinds, Services& services);
  const Authenticator& authenticator() const;
  Catalog& catalog();
  /// The pages that it has for browsers and other programs.
  void add_pages(http::Server& server) const;

  /// The records of the shard after this one are still needed.
  std::uint64_t retain_after(std::uint32_t shard) const;
  /// What is to be done about once a second. Blocks no longer than a file takes to be looked at.
  void tick();

 private:
  struct Parts;
  explicit Management(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cx
