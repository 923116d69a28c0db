#include "tools/campaignctl/commands/topology.hpp"

#include <doctest/doctest.h>

using namespace cx::ctl;

namespace {

/// 2026-01-02T03:04:05Z
const std::chrono::system_clock::time_point kNow{std::chrono::seconds(1767323045)};

cx::v1::TopologyReply sample() {
  cx::v1::TopologyReply reply;
  reply.set_as_of("2026-01-02T03:04:04.600Z");
  auto& calm = *reply.add_nodes();
  calm.set_name("n1");
  calm.set_state("ok");
  calm.set_uptime_seconds(10920);
  calm.set_cpu(0.64);
  calm.set_rss_bytes(2147483648);
  auto& customer = *calm.add_kinds();
  customer.set_kind("customer");
  customer.set_live(312000);
  customer.set_handled_per_second(9800);
  auto& agent = *calm.add_kinds();
  agent.set_kind("bid-agent");
  agent.set_live(4);
  agent.set_mailbox(17);
  agent.set_handled(1200000);
  agent.add_addresses("bid-agent/demo/0");
  auto& bid = *calm.add_endpoints();
  bid.set_requests(9);
  bid.set_route("POST /v1/bid");
  bid.set_requests_per_second(14100);
  bid.set_p50_ms(0.4);
  bid.set_p99_ms(3.1);
  auto& leaving = *reply.add_nodes();
  leaving.set_name("n2");
  leaving.set_state("draining");
  return reply;
}

}  // namespace

TEST_CASE("the worst node and line float up") {
  auto reply = sample();
  shape_topology(reply, {});
  CHECK(draw_topology(reply, {}, kNow) ==
        "2 nodes · 312 k live · 14.1 k req/s · p99 3.1 ms · as of 03:04:04Z (0.4 s old)\n"
        "├ n2  up 0 s      cpu 0 %   rss 0 B    draining\n"
        "└ n1  up 3 h 2 m  cpu 64 %  rss 2.0 G  ok\n"
        "  ├ bid-agent      4 live  mailbox 17      0 msg/s  failures 0\n"
        "  ├ customer   312 k live  mailbox 0   9.8 k msg/s  failures 0\n"
        "  └ POST /v1/bid  14.1 k req/s  p50 0.4 ms  p99 3.1 ms\n");
}

TEST_CASE("wide adds totals and addresses, no-headers takes the first line away") {
  auto reply = sample();
  const auto wide = draw_topology(reply, {Format::wide, false, false, 0}, kNow);
  CHECK(wide.starts_with("├ n1"));
  CHECK(wide.find("1.2 M handled  bid-agent/demo/0\n") != std::string::npos);
}

TEST_CASE("filters drop lines without the field, nodes are filtered by name and state") {
  auto reply = sample();
  shape_topology(reply, {{{"kind", "customer"}, {"node", "n1"}}, "", 0});
  REQUIRE(reply.nodes_size() == 1);
  REQUIRE(reply.nodes(0).kinds_size() == 1);
  CHECK(reply.nodes(0).kinds(0).kind() == "customer");
  CHECK(reply.nodes(0).endpoints_size() == 0);
}

TEST_CASE("sort and limit") {
  auto reply = sample();
  shape_topology(reply, {{}, "live", 1});
  const auto& node = reply.nodes(1);
  REQUIRE(node.kinds_size() == 1);
  CHECK(node.kinds(0).kind() == "customer");
  CHECK(node.endpoints_size() == 1);
  reply = sample();
  shape_topology(reply, {{}, "kind", 0});
  CHECK(reply.nodes(1).kinds(0).kind() == "bid-agent");
}

TEST_CASE("names from the server cannot steer the terminal") {
  auto reply = sample();
  reply.mutable_nodes(0)->mutable_kinds(0)->set_kind("\x1b[2J");
  CHECK(draw_topology(reply, {}, kNow).find('\x1b') == std::string::npos);
}
