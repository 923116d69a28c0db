#include "gateways/http/router.hpp"

#include <stdexcept>

#include "cx/v1/options.pb.h"
#include "gateways/http/transcode.hpp"
#include "messages/contract.hpp"

namespace cx::http {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

Answer not_served(const std::string& method) {
  return [detail = "This node does not serve " + method + "; ask another node."](auto, auto&, auto reply) {
    reply(RawReply::failure({Code::unavailable, "not-served", detail, ""}));
  };
}

}  // namespace

Router::Router(const Services& services, Metrics& metrics) : metrics_(metrics) {
  for_each_service([&](const ServiceDescriptor& service) {
    for (int i = 0; i < service.method_count(); ++i) add(*service.method(i), services);
  });
}

void Router::add(const MethodDescriptor& method, const Services& services) {
  const auto& options = method.options();
  if (!options.HasExtension(v1::route)) return;
  const auto& at = options.GetExtension(v1::route);
  const auto& path = at.get().empty() ? at.post() : at.get();

  Route route;
  route.takes_body = at.body() == "*";
  route.probe = &metrics_.endpoint(path);
  if (options.HasExtension(v1::raw)) {
    const auto& raw = options.GetExtension(v1::raw);
    route.content_type = raw.content_type();
    route.raw = services.raw(raw.agent());
  } else {
    route.content_type = "application/json";
    if (const auto* unary = services.unary(method.full_name()))
      route.answer = transcode(method, *unary, route.takes_body);
  }
  if (route.raw == nullptr && !route.answer) route.answer = not_served(method.full_name());

  auto& slot = at.get().empty() ? resources_[path].post : resources_[path].get;
  if (slot) throw std::logic_error("two methods of the contract have the route " + path);
  slot = std::move(route);
}

void Router::get(const std::string& path, std::string content_type, Page page) {
  auto answer = [page = std::move(page)](auto, auto&, auto reply) { reply(page()); };
  resources_[path].get =
      Route{std::move(content_type), false, nullptr, std::move(answer), &metrics_.endpoint(path)};
}

const Resource* Router::find(std::string_view path) const {
  const auto found = resources_.find(path);
  return found == resources_.end() ? nullptr : &found->second;
}

std::string Router::known() const {
  std::string text;
  for (const auto& [path, resource] : resources_) {
    if (resource.get) text += (text.empty() ? "GET " : ", GET ") + path;
    if (resource.post) text += (text.empty() ? "POST " : ", POST ") + path;
  }
  return text;
}

Target split_target(std::string_view target) {
  if (target.substr(0, 7) == "http://") {
    const auto slash = target.find('/', 7);
    target = slash == target.npos ? "/" : target.substr(slash);
  }
  const auto mark = target.find('?');
  if (mark == target.npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

}  // namespace cx::http
