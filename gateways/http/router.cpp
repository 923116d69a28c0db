#include "gateways/http/router.hpp"

#include <google/protobuf/descriptor.pb.h>
#include <stdexcept>

#include "cx/v1/options.pb.h"
#include "gateways/http/transcode.hpp"

namespace cx {

extern const std::string_view
    contract_bytes;  // the embedded descriptor set: here it names the contract's files

}  // namespace cx

namespace cx::http {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;

template <class Visit>
void for_each_method(Visit visit) {
  google::protobuf::FileDescriptorSet set;
  if (!set.ParseFromArray(contract_bytes.data(), static_cast<int>(contract_bytes.size())))
    throw std::logic_error("the embedded contract does not parse");
  for (const auto& named : set.file()) {
    const auto* file = DescriptorPool::generated_pool()->FindFileByName(named.name());
    for (int s = 0; file != nullptr && s < file->service_count(); ++s)
      for (int m = 0; m < file->service(s)->method_count(); ++m) visit(*file->service(s)->method(m));
  }
}

Answer not_served(const std::string& method) {
  return [detail = "This node does not serve " + method + "; ask another node."](std::string_view,
                                                                                 const std::string&) {
    return RawReply::failure({Code::unavailable, "not-served", detail, ""});
  };
}

}  // namespace

Router::Router(const Services& services, Metrics& metrics) : metrics_(metrics) {
  for_each_method([&](const MethodDescriptor& method) {
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
  });
}

void Router::get(const std::string& path, std::string content_type, Answer answer) {
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
