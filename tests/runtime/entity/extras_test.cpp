#include "runtime/entity/extras.hpp"

#include <doctest/doctest.h>

namespace cx {
namespace {

v1::MessageId id_of(const std::string& source, std::uint64_t sequence) {
  v1::MessageId id;
  id.set_source(source);
  id.set_sequence(sequence);
  return id;
}

}  // namespace

TEST_CASE("of clients, those heard last are remembered; of shards, all") {
  Extras extras;
  extras.handled(id_of("shard/7", 1), {});
  for (int i = 0; i < 64; ++i) extras.handled(id_of("client-" + std::to_string(i), 1), {});
  extras.handled(id_of("client-0", 2), {});   // heard again
  extras.handled(id_of("client-64", 1), {});  // one more than fit
  CHECK(extras.seen.size() == 65);
  CHECK(extras.reply_to("shard/7", 1));
  CHECK(extras.reply_to("client-0", 1));
  CHECK_FALSE(extras.reply_to("client-1", 1));
  CHECK(extras.reply_to("client-64", 1));
}

}  // namespace cx
