#include "tools/version.hpp"

#include <google/protobuf/util/json_util.h>

#include "cx/v1/operations.pb.h"
#include "tools/campaignctl/command.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

json::object build(const std::string& version, const std::string& commit, const std::string& kind) {
  return {{"version", version}, {"commit", commit}, {"build", kind}};
}

Outcome<json::object> server_build(const Call& call) {
  const auto response = call.ask(request_of("cx.v1.Operations.Version"));
  if (!response) return response.error();
  google::protobuf::util::JsonParseOptions lenient;
  lenient.ignore_unknown_fields = true;
  v1::VersionReply reply;
  if (const auto status = google::protobuf::util::JsonStringToMessage(response->body, &reply, lenient);
      !status.ok())
    return Failure{Exit::server_failed, "not-a-version",
                   "the server's version is not understood: " + status.ToString(), ""};
  return build(reply.version(), reply.commit(), reply.build());
}

Outcome<Report> version(const Call& call) {
  Report report;
  report.columns = {{"part"}, {"version"}, {"commit"}, {"build"}};
  json::object document;
  const auto add = [&](const char* part, const json::object& values) {
    document[part] = values;
    Row row{part, {{"part", part}}};
    for (const auto& item : values) row.values.insert(item);
    report.rows.push_back(std::move(row));
  };
  add("client", build(std::string(kVersion), std::string(kCommit), std::string(kBuild)));
  if (!call.has("client")) {
    const auto server = server_build(call);
    if (server) {
      add("server", *server);
    } else if (server.error().exit == Exit::usage) {
      return server.error();
    } else {
      document["server"] = nullptr;
      report.notes.push_back(server.error().detail);
    }
  }
  report.document = to_json(document, true);
  return report;
}

}  // namespace

Command version_command() {
  Command command{"version",
                  "Show which build this is, and which one the server runs when it can be reached",
                  {"campaignctl version", "campaignctl version --client -o json"}};
  command.flags = asking();
  command.flags.push_back(kNoHeaders);
  command.flags.push_back({"client", 0, "", "Do not ask the server"});
  command.run = version;
  return command;
}

}  // namespace cx::ctl
