#include "gateways/http/router.hpp"

#include <charconv>
#include <stdexcept>

#include "gateways/http/spelling.hpp"

namespace cx::http {
namespace {

constexpr std::pair<std::string_view, Verb> kVerbs[] = {
    {"GET", Verb::get},     {"HEAD", Verb::head},     {"POST", Verb::post},      {"PUT", Verb::put},
    {"PATCH", Verb::patch}, {"DELETE", Verb::remove}, {"OPTIONS", Verb::options}};

Verb verb_of(std::string_view name) {
  for (const auto& [text, verb] : kVerbs)
    if (text == name) return verb;
  throw std::logic_error("no verb of HTTP that we serve: " + std::string(name));
}

std::string allow_of(const Resource& resource) {
  std::string allow;
  for (const auto& [text, verb] : kVerbs)
    if (verb == Verb::options || resource.at(verb) != nullptr) (allow += allow.empty() ? "" : ", ") += text;
  return allow;
}

/// The first segment of `path`, which is cut off with the slash behind it.
std::string_view next_segment(std::string_view& path, bool& last) {
  const auto slash = path.find('/');
  last = slash == path.npos;
  const auto segment = path.substr(0, slash);
  path.remove_prefix(last ? path.size() : slash + 1);
  return segment;
}

/// "campaigns:calendar" -> "campaigns" and ":calendar", which is empty where there is no colon.
std::pair<std::string_view, std::string_view> split_verb(std::string_view segment) {
  const auto colon = segment.rfind(':');
  if (colon == segment.npos) return {segment, {}};
  return {segment.substr(0, colon), segment.substr(colon)};
}

}  // namespace

struct Router::Node {
  std::map<std::string, Node, std::less<>> literals;
  std::unique_ptr<Node> variable;
  std::string name;                                        // of the variable that leads here, for messages
  std::map<std::string, Resource, std::less<>> resources;  // by ":verb"; "" without one

  const Resource* at(std::string_view verb) const {
    const auto found = resources.find(verb);
    return found == resources.end() ? nullptr : &found->second;
  }
  const Node* literal(std::string_view segment) const {
    const auto found = literals.find(segment);
    return found == literals.end() ? nullptr : &found->second;
  }

  const Resource* find(std::string_view path, Values& values) const {
    bool last = false;
    const auto segment = next_segment(path, last);
    if (last) return find_last(segment, values);
    if (const auto* next = literal(segment))
      if (const auto* found = next->find(path, values)) return found;
    if (!variable || segment.empty()) return nullptr;
    const auto size = values.size;
    values.values[values.size++] = segment;
    const auto* found = variable->find(path, values);
    if (found == nullptr) values.size = size;
    return found;
  }

  const Resource* find_last(std::string_view segment, Values& values) const {
    const auto [stem, verb] = split_verb(segment);
    if (!verb.empty())
      if (const auto* next = literal(stem))
        if (const auto* found = next->at(verb)) return found;
    if (const auto* next = literal(segment))
      if (const auto* found = next->at("")) return found;
    if (!variable) return nullptr;
    const bool has_verbs = variable->resources.size() > (variable->at("") == nullptr ? 0 : 1);
    const auto value = has_verbs ? stem : segment;
    const auto* found = variable->at(has_verbs ? verb : "");
    if (value.empty() || found == nullptr) return nullptr;
    values.values[values.size++] = value;
    return found;
  }
};

const Route* Resource::at(Verb verb) const {
  if (verb == Verb::other) return nullptr;
  return routes[static_cast<std::size_t>(verb == Verb::head ? Verb::get : verb)].get();
}

Router::Router(std::span<const Method> methods, Metrics& metrics)
    : metrics_(metrics), root_(std::make_unique<Node>()) {
  for (const auto& method : methods) {
    if (method.path.empty()) continue;
    Route route;
    route.method = &method;
    route.content_type = method.content_type;
    route.probe = &metrics.endpoint(method.path);
    add(verb_of(method.verb), method.path, std::move(route));
  }
}

Router::~Router() = default;

void Router::add(const std::string& path, std::string content_type, Page page, const std::string& label) {
  add(Verb::get, path,
      Route{nullptr, std::move(page), std::move(content_type), {}, &metrics_.endpoint(label)});
}

void Router::add(Verb verb, const std::string& pattern, Route route) {
  auto& resource = place(pattern, route.variables);
  auto& slot = resource.routes[static_cast<std::size_t>(verb)];
  if (slot) throw std::logic_error("two things are served at " + pattern);
  slot = std::make_unique<Route>(std::move(route));
  resource.allow = allow_of(resource);
}

Resource& Router::place(const std::string& pattern, std::vector<std::string>& variables) {
  if (pattern.empty() || pattern.front() != '/') throw std::logic_error("no path: " + pattern);
  auto* node = root_.get();
  std::string_view rest = std::string_view(pattern).substr(1);
  for (bool last = false;;) {
    const auto whole = next_segment(rest, last);
    const auto [segment, verb] = last ? split_verb(whole) : std::pair(whole, std::string_view());
    if (segment.substr(0, 1) != "{") {
      node = &node->literals[std::string(segment)];
    } else if (segment.size() > 2 && segment.back() == '}' && variables.size() < Values::kMost) {
      if (!node->variable) node->variable = std::make_unique<Node>();
      node = node->variable.get();
      node->name = segment;
      variables.emplace_back(segment.substr(1, segment.size() - 2));
    } else {
      throw std::logic_error("this path has no such variable, or too many: " + pattern);
    }
    if (last) return node->resources[std::string(verb)];
  }
}

const Resource* Router::find(std::string_view path, Values& values) const {
  values.size = 0;
  return path.substr(0, 1) == "/" ? root_->find(path.substr(1), values) : nullptr;
}

std::vector<std::string> Router::near(std::string_view path) const {
  constexpr std::size_t kMost = 3;
  std::vector<std::string> found;
  if (path.substr(0, 1) != "/") return found;
  path.remove_prefix(1);
  std::string way;  // patterns of the segments that were recognised
  const auto* node = root_.get();
  for (bool last = false; !last;) {
    const auto segment = next_segment(path, last);
    const auto offer = [&](const std::string& pattern, std::string_view meant) {
      if (found.size() < kMost && similar(segment, meant)) found.push_back(way + '/' + pattern);
    };
    for (const auto& [literal, next] : node->literals) {
      if (!last && literal != segment) offer(literal, literal);
      for (const auto& [verb, resource] : next.resources)
        if (last) offer(literal + verb, literal + verb);
    }
    if (last && node->variable) {
      const auto stem = std::string(split_verb(segment).first);
      for (const auto& [verb, resource] : node->variable->resources)
        if (!verb.empty() && !stem.empty()) offer(node->variable->name + verb, stem + verb);
    }
    const auto* next = node->literal(segment);
    if (next == nullptr && !segment.empty()) next = node->variable.get();
    if (next == nullptr) break;
    way += '/';
    way += next == node->variable.get() ? std::string_view(next->name) : segment;
    node = next;
  }
  return found;
}

Target split_target(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.substr(0, scheme.size()) != scheme) continue;
    const auto slash = target.find('/', scheme.size());
    target = slash == target.npos ? "/" : target.substr(slash);
  }
  const auto mark = target.find('?');
  if (mark == target.npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

bool percent_decode(std::string_view text, bool is_query, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += is_query && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    unsigned char byte = 0;
    const auto digits = text.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() < 2 || error != std::errc() || end != digits.data() + 2) return false;
    out += static_cast<char>(byte);
    i += 2;
  }
  return true;
}

}  // namespace cx::http
