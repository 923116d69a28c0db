#include <filesystem>
#include <fmt/core.h>

#include "providers/inference/colanet/onnx.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/io.hpp"

namespace cx::ctl {
namespace json = boost::json;
namespace colanet = inference::colanet;

namespace {

Failure failure_of(const Error& error) {
  return {error.code == Code::not_found ? Exit::not_found : Exit::rejected, error.type, error.detail, ""};
}

Outcome<Report> export_model(const Call& call) {
  const auto file = call.value("FILE"), out = call.value("onnx");
  if (out.empty()) return usage("model export needs --onnx");
  std::error_code none;
  if (std::filesystem::equivalent(file, out, none))
    return usage(fmt::format("--onnx {} is the model itself, which would be gone: name another file", out));
  const auto model = colanet::Model::open(file);
  if (!model) return failure_of(model.error());
  const auto bytes = colanet::to_onnx(*model);
  if (!bytes) return failure_of(bytes.error());
  if (const auto written = write_public(out, *bytes); !written) return written.error();
  Report report;
  report.columns = {{"file"}, {"model"}, {"bytes"}, {"inputs"}, {"columns"}, {"offers"}};
  json::object values{{"file", out},
                      {"model", model->label()},
                      {"hash", fmt::format("{:016x}", model->hash())},
                      {"bytes", bytes->size()},
                      {"inputs", model->columns().inputs},
                      {"columns", model->columns().count},
                      {"offers", model->offers()}};
  report.document = to_json(values, true);
  report.rows = {{out, std::move(values)}};
  return report;
}

}  // namespace

Command model_export_command() {
  Command command{"model export",
                  "Write a model as ONNX, for other runtimes",
                  {"campaignctl model export bank.model --onnx bank.onnx",
                   "campaignctl model export models/current --onnx current.onnx -o json"}};
  command.arguments = {{"FILE", "The model", {}, Offer::files}};
  command.flags = {{"onnx", 0, "FILE", "Where to write it", {}, Offer::files, true}, kNoHeaders};
  command.details =
      "The graph (opset 13) takes features, float [N, inputs], and columns, int64 [N], and says z, the exact "
      "read-out of each row's column as int64, and p, its probability. Which column is which offer's stands "
      "in "
      "the file's metadata, beside the model's name, hashes and schema. The model is checked first, as by a "
      "node.";
  command.run = export_model;
  return command;
}

}  // namespace cx::ctl
