#include "tools/campaignctl/commands/topology.hpp"

#include <algorithm>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;
namespace pb = google::protobuf;

namespace {

using Lines = std::vector<std::vector<std::string>>;

bool is_scalar(const pb::FieldDescriptor& field) {
  return !field.is_repeated() && field.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE;
}

/// A scalar field as its number; text has none.
double number(const pb::Message& line, const pb::FieldDescriptor& field) {
  const auto& reflection = *line.GetReflection();
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_DOUBLE) return reflection.GetDouble(line, &field);
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_UINT64)
    return static_cast<double>(reflection.GetUInt64(line, &field));
  return 0;
}

/// A scalar field as -o csv prints it.
std::string text(const pb::Message& line, const pb::FieldDescriptor& field) {
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING)
    return line.GetReflection()->GetString(line, &field);
  return fmt::format("{}", number(line, field));
}

/// Whether a field of this name exists in the line and has this value.
bool matches(const pb::Message& line, const std::pair<std::string, std::string>& filter) {
  const auto* field = line.GetDescriptor()->FindFieldByName(filter.first);
  return field != nullptr && is_scalar(*field) && text(line, *field) == filter.second;
}

template <class Line>
void keep_matching(pb::RepeatedPtrField<Line>& lines, const std::pair<std::string, std::string>& filter) {
  lines.erase(
      std::remove_if(lines.begin(), lines.end(), [&](const Line& line) { return !matches(line, filter); }),
      lines.end());
}

/// Largest number or first text in front; lines without the field keep their places.
template <class Line>
void sort_by(pb::RepeatedPtrField<Line>& lines, const std::string& name) {
  const auto* field = Line::descriptor()->FindFieldByName(name);
  if (field == nullptr || !is_scalar(*field)) return;
  const bool words = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING;
  std::stable_sort(lines.begin(), lines.end(), [&](const Line& a, const Line& b) {
    return words ? text(a, *field) < text(b, *field) : number(a, *field) > number(b, *field);
  });
}

template <class Line>
void keep_first(pb::RepeatedPtrField<Line>& lines, std::size_t limit) {
  const auto count = static_cast<std::size_t>(lines.size());
  if (limit > 0 && count > limit)
    lines.DeleteSubrange(static_cast<int>(limit), static_cast<int>(count - limit));
}

/// Appends `lines`, aligned, with the branches of a tree in front.
void add_branches(std::string& out, const std::vector<std::string>& lines, const std::string& trunk) {
  for (const auto& line : lines)
    out.append(trunk).append(&line == &lines.back() ? "└ " : "├ ").append(line).append("\n");
}

std::vector<std::string> lines_of(const v1::Node& node, const View& view) {
  const bool wide = view.format == Format::wide;
  Lines kinds, endpoints;
  for (const auto& kind : node.kinds()) {
    auto& cells = kinds.emplace_back();
    cells = {printable(kind.kind()), human_count(kind.live()) + " live",
             "mailbox " + human_count(kind.mailbox()), human_count(kind.handled_per_second()) + " msg/s",
             paint("failures " + human_count(kind.failures()), kind.failures() > 0 ? Color::red : Color::none,
                   view.color)};
    std::string addresses;
    for (const auto& address : kind.addresses())
      addresses.append(addresses.empty() ? "" : " ").append(printable(address));
    if (wide) cells.insert(cells.end(), {human_count(kind.handled()) + " handled", addresses});
  }
  for (const auto& endpoint : node.endpoints()) {
    if (endpoint.requests() == 0 && !wide) continue;  // nobody ever asked: a row without news
    auto& cells = endpoints.emplace_back();
    cells = {printable(endpoint.route()), human_count(endpoint.requests_per_second()) + " req/s",
             "p50 " + human_ms(endpoint.p50_ms()), "p99 " + human_ms(endpoint.p99_ms())};
    if (wide) cells.push_back(human_count(endpoint.requests()) + " requests");
  }
  auto lines = align(kinds, {false, true, false, true, false, true, false});
  for (auto& line : align(endpoints, {false, true, false, false, true})) lines.push_back(std::move(line));
  return lines;
}

std::string headline(const v1::TopologyReply& topology, std::chrono::system_clock::time_point now) {
  double live = 0, rate = 0, p99 = 0;
  for (const auto& node : topology.nodes()) {
    for (const auto& kind : node.kinds()) live += static_cast<double>(kind.live());
    for (const auto& endpoint : node.endpoints()) {
      rate += endpoint.requests_per_second();
      p99 = std::max(p99, endpoint.p99_ms());
    }
  }
  std::string line =
      fmt::format("{} node{} · {} live · {} req/s · p99 {}", topology.nodes_size(),
                  topology.nodes_size() == 1 ? "" : "s", human_count(live), human_count(rate), human_ms(p99));
  pb::Timestamp as_of;
  if (!pb::util::TimeUtil::FromString(topology.as_of(), &as_of)) return line;
  const auto seconds = static_cast<std::time_t>(as_of.seconds());
  const double age = std::chrono::duration<double>(now.time_since_epoch()).count() -
                     static_cast<double>(as_of.seconds()) - as_of.nanos() / 1e9;
  // A negative age is the difference between two clocks.
  const std::string old = age < 60 ? fmt::format("{:.1f} s", std::max(0.0, age)) : human_uptime(age);
  return line + fmt::format(" · as of {:%H:%M:%S}Z ({} old)", fmt::gmtime(seconds), old);
}

std::string to_document(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string out;
  // It fails for messages with Any fields only.
  static_cast<void>(pb::util::MessageToJsonString(message, &out, options));
  return out;
}

Row row_of(const v1::Node& node, const std::string& name, const pb::Message& line) {
  Row row{name, {{"node", node.name()}}};
  const auto document = json::parse(to_document(line));
  for (const auto& item : document.as_object()) row.values.insert(item);
  return row;
}

Report report_on(const v1::TopologyReply& topology) {
  Report report;
  report.document = to_json(json::parse(to_document(topology)), true);
  report.columns.push_back({"node"});
  for (const auto* line : {v1::ActorKind::descriptor(), v1::Endpoint::descriptor()})
    for (int i = 0; i < line->field_count(); ++i) report.columns.push_back({line->field(i)->name()});
  for (const auto& node : topology.nodes()) {
    for (const auto& kind : node.kinds())
      report.rows.push_back(row_of(node, fmt::format("kind/{}/{}", node.name(), kind.kind()), kind));
    for (const auto& endpoint : node.endpoints())
      report.rows.push_back(
          row_of(node, fmt::format("endpoint/{}/{}", node.name(), endpoint.route()), endpoint));
  }
  report.draw = [topology](const View& view) {
    return draw_topology(topology, view, std::chrono::system_clock::now());
  };
  return report;
}

/// The command that looks closer at what is worst.
std::string next_step(const v1::TopologyReply& topology) {
  const v1::ActorKind* worst = nullptr;
  for (const auto& node : topology.nodes())
    for (const auto& kind : node.kinds())
      if (kind.mailbox() > 0 && (worst == nullptr || kind.mailbox() > worst->mailbox())) worst = &kind;
  const std::string closer = "next: campaignctl topology --watch";
  return worst == nullptr ? closer : fmt::format("{} --filter kind={}", closer, worst->kind());
}

Outcome<Shape> shape_of(const Call& call) {
  Shape shape;
  auto fields = topology_fields();
  fields.insert(fields.end(), {"node", "state"});
  for (const auto& text : call.values("filter")) {
    const auto equals = text.find('=');
    if (equals == text.npos) return usage(fmt::format("--filter {} has no value; write FIELD=VALUE", text));
    shape.filters.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    const auto& field = shape.filters.back().first;
    if (std::find(fields.begin(), fields.end(), field) == fields.end())
      return usage(fmt::format("--filter: a topology has no field {}{}; there are {}", field,
                               did_you_mean(field, fields), join(fields, ", ")));
  }
  shape.sort_by = call.value("sort-by");
  const auto limit = call.limit();
  if (!limit) return limit.error();
  shape.limit = *limit;
  return shape;
}

Outcome<Report> topology(const Call& call) {
  const auto shape = shape_of(call);
  if (!shape) return shape.error();
  const auto response = call.ask(request_of("cx.v1.Operations.Topology"));
  if (!response) return response.error();
  pb::util::JsonParseOptions lenient;
  lenient.ignore_unknown_fields = true;  // of a newer server
  v1::TopologyReply reply;
  if (const auto status = pb::util::JsonStringToMessage(response->body, &reply, lenient); !status.ok())
    return Failure{
        Exit::server_failed, "not-a-topology",
        fmt::format("the server's topology is not understood ({}); is it a campaignd?", status.ToString()),
        ""};
  shape_topology(reply, *shape);
  Report report = report_on(reply);
  report.notes = {next_step(reply)};
  return report;
}

}  // namespace

std::vector<std::string> topology_fields() {
  std::vector<std::string> fields;
  for (const auto* line : {v1::ActorKind::descriptor(), v1::Endpoint::descriptor()})
    for (int i = 0; i < line->field_count(); ++i)
      if (is_scalar(*line->field(i))) fields.push_back(line->field(i)->name());
  return fields;
}

void shape_topology(v1::TopologyReply& topology, const Shape& shape) {
  auto& nodes = *topology.mutable_nodes();
  for (const auto& filter : shape.filters) {
    if (filter.first == "node")
      keep_matching(nodes, {"name", filter.second});
    else if (filter.first == "state")
      keep_matching(nodes, filter);
    else
      for (auto& node : nodes) {
        keep_matching(*node.mutable_kinds(), filter);
        keep_matching(*node.mutable_endpoints(), filter);
      }
  }
  // Stable sorts: the last decides, the one before breaks its ties.
  std::stable_partition(nodes.begin(), nodes.end(),
                        [](const v1::Node& node) { return node.state() != "ok"; });
  for (auto& node : nodes) {
    sort_by(*node.mutable_kinds(), "failures");
    sort_by(*node.mutable_kinds(), "mailbox");
    sort_by(*node.mutable_endpoints(), "p99_ms");
    sort_by(*node.mutable_kinds(), shape.sort_by);
    sort_by(*node.mutable_endpoints(), shape.sort_by);
    keep_first(*node.mutable_kinds(), shape.limit);
    keep_first(*node.mutable_endpoints(), shape.limit);
  }
}

std::string draw_topology(const v1::TopologyReply& topology, const View& view,
                          std::chrono::system_clock::time_point now) {
  Lines heads;
  for (const auto& node : topology.nodes())
    heads.push_back(
        {paint(printable(node.name()), Color::bold, view.color), "up " + human_uptime(node.uptime_seconds()),
         fmt::format("cpu {:.0f} %", node.cpu() * 100),
         "rss " + human_bytes(static_cast<double>(node.rss_bytes())),
         paint(printable(node.state()), node.state() == "ok" ? Color::none : Color::yellow, view.color)});
  const auto nodes = align(heads, std::vector<bool>(5));
  std::string out = view.headers ? headline(topology, now) + "\n" : "";
  for (int i = 0; i < topology.nodes_size(); ++i) {
    const bool last = i + 1 == topology.nodes_size();
    out.append(last ? "└ " : "├ ").append(nodes[static_cast<std::size_t>(i)]).append("\n");
    add_branches(out, lines_of(topology.nodes(i), view), last ? "  " : "│ ");
  }
  return out;
}

Command topology_command() {
  Command command{"topology",
                  "Show what runs on each node, the worst line first",
                  {"campaignctl topology --watch", "campaignctl topology --filter kind=customer -o json"}};
  command.flags = asking();
  Flag sort = kSortBy;
  sort.choices = topology_fields();
  command.flags.insert(command.flags.end(), {kWatch, sort, kFilter, kLimit, kNoHeaders});
  command.run = topology;
  return command;
}

}  // namespace cx::ctl
