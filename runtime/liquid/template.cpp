#include "runtime/liquid/template.hpp"

#include <fmt/format.h>

#include "runtime/liquid/parser.hpp"
#include "runtime/liquid/renderer.hpp"
#include "runtime/liquid/text.hpp"

namespace cx::liquid {

Template::Template(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}

Result<Template> Template::compile(std::string_view source, const Limits& limits) {
  if (source.size() > limits.template_bytes)
    return Error{Code::invalid_argument, "template-limit",
                 fmt::format("The template has {} bytes, and at most {} are allowed: make it shorter.",
                             source.size(), limits.template_bytes),
                 ""};
  if (!is_utf8(source))
    return Error{Code::invalid_argument, "invalid-template", "The template is not UTF-8: save it as UTF-8.",
                 ""};
  auto tree = std::make_shared<Tree>();
  tree->source = source;
  tree->limits = limits;
  if (const auto fault = Parser(*tree).parse())
    return Error{Code::invalid_argument, fault.limit ? "template-limit" : "invalid-template",
                 place(tree->source, fault.at) + ": " + fault.detail, ""};
  return Template(std::move(tree));
}

Result<std::string> Template::render(const boost::json::object& data, const Options& options) const {
  return Renderer(*tree_, data, options).run();
}

const std::vector<std::string>& Template::variables() const {
  return tree_->variables;
}

const std::vector<std::string>& Template::partials() const {
  return tree_->partials;
}

}  // namespace cx::liquid
