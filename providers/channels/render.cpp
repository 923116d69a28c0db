#include "providers/channels/render.hpp"

namespace cx::channels {

Result<std::string> render(const liquid::Template& source, std::string_view which,
                           const boost::json::object& data, std::int64_t now, bool html) {
  liquid::Options options;
  options.html = html;
  options.now = now;
  auto text = source.render(data, options);
  if (text) return text;
  return Error{Code::invalid_argument, "template-failed",
               "The template's " + std::string(which) + " cannot be rendered: " + text.error().detail, ""};
}

}  // namespace cx::channels
