#include "tools/campaignctl/failure.hpp"

#include <boost/json.hpp>
#include <stdexcept>

#include "tools/campaignctl/text.hpp"

namespace cx::ctl {

Failure usage(std::string detail) {
  return {Exit::usage, "usage", std::move(detail), ""};
}

Exit exit_for(unsigned status) {
  switch (status) {
    case 401:
    case 403:
      return Exit::denied;
    case 404:
    case 410:
      return Exit::not_found;
    case 409:
    case 412:
      return Exit::conflict;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
      return Exit::unreachable;
    default:
      return status >= 400 && status < 500 ? Exit::rejected : Exit::server_failed;
  }
}

std::string problem_document(const Failure& failure) {
  if (!failure.document.empty()) return failure.document;
  std::string title = failure.type;
  for (char& c : title)
    if (c == '-') c = ' ';
  return boost::json::serialize(boost::json::object{
      {"type", "/problems/" + failure.type}, {"title", title}, {"detail", failure.detail}});
}

std::string problem_text(const Failure& failure) {
  return printable(failure.detail);
}

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::logic_error(failure.detail);
}

}  // namespace cx::ctl
