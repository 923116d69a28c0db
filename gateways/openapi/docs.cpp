#include "gateways/openapi/docs.hpp"

#include <fmt/format.h>
#include <string_view>

#include "gateways/openapi/definitions.hpp"
#include "gateways/openapi/schema.hpp"

namespace cx {

extern const std::string_view docs_viewer_script, docs_viewer_style;  // of the npm package; empty without it
extern const std::string_view docs_start_script, docs_style;          // ours

namespace openapi {
namespace {

// Everything comes from this node; the viewer's style sheet has its icons in data URLs.
constexpr std::string_view kSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// What the page shows without the viewer.
std::string endpoints(std::span<const Method> methods) {
  std::string out;
  const google::protobuf::ServiceDescriptor* last = nullptr;
  for (const auto& method : methods) {
    if (method.path.empty()) continue;
    const auto* service = method.descriptor->service();
    if (service != last) {
      if (last != nullptr) out += "</table>\n";
      out += fmt::format("<h2>{}</h2>\n<p>{}</p>\n<table>\n", service->name(), escaped(doc_of(*service)));
      last = service;
    }
    out += fmt::format("<tr><td><code>{} {}</code></td><td>{}</td></tr>\n", method.verb, escaped(method.path),
                       escaped(doc_of(*method.descriptor)));
  }
  if (last != nullptr) out += "</table>\n";
  return out;
}

std::string page(std::span<const Method> methods, const Info& info) {
  std::string head, notice;
  if (has_viewer()) {
    head =
        "<link rel=\"stylesheet\" href=\"/docs/viewer.css\">\n"
        "<script src=\"/docs/viewer.js\" defer></script>\n<script src=\"/docs/start.js\" defer></script>\n";
  } else {
    notice =
        "<p>This node was built without the viewer that shows the whole document: npm was not there, or "
        "could not "
        "reach its registry. Install npm, go online, remove <code>gateways/openapi/docs</code> from the "
        "folder that "
        "the node is built in, and build it again.</p>\n";
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0} API</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" "
      "href=\"/docs/style.css\">\n{1}</head>\n<body>\n"
      "<main id=\"docs\">\n<h1>{0} API {2}</h1>\n{3}"
      "<p>All of it, for programs: <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI 3.1).</p>\n{4}"
      "</main>\n</body>\n</html>\n",
      escaped(info.title), head, escaped(info.version), notice, endpoints(methods));
}

}  // namespace

bool has_viewer() {
  return !docs_viewer_script.empty() && !docs_viewer_style.empty();
}

std::vector<Document> documents(std::span<const Method> methods, const Info& info) {
  const std::string css = "text/css; charset=utf-8", script = "text/javascript; charset=utf-8";
  std::vector<Document> all{
      {"/openapi.json", "application/json", document(methods, info), ""},
      {"/docs", "text/html; charset=utf-8", page(methods, info), std::string(kSecurityPolicy)},
      {"/docs/style.css", css, std::string(docs_style), ""},
  };
  for (auto& page : definitions(methods)) all.push_back(std::move(page));
  if (has_viewer()) {
    all.push_back({"/docs/start.js", script, std::string(docs_start_script), ""});
    all.push_back({"/docs/viewer.js", script, std::string(docs_viewer_script), ""});
    all.push_back({"/docs/viewer.css", css, std::string(docs_viewer_style), ""});
  }
  return all;
}

}  // namespace openapi
}  // namespace cx
