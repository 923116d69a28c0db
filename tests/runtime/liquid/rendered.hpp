#pragma once

#include <boost/json/parse.hpp>
#include <string>
#include <string_view>

#include "runtime/liquid/template.hpp"

namespace cx::liquid {

/// The text that `source` makes of the JSON object `data`, or "ERROR " and the type and detail of the error.
inline std::string rendered(std::string_view source, std::string_view data = "{}",
                            const Options& options = {}) {
  const auto show = [](const Error& error) { return "ERROR " + error.type + ": " + error.detail; };
  const auto compiled = Template::compile(source);
  if (!compiled) return show(compiled.error());
  const auto object = boost::json::parse({data.data(), data.size()}).as_object();
  auto text = compiled->render(object, options);
  return text ? std::move(*text) : show(text.error());
}

}  // namespace cx::liquid
