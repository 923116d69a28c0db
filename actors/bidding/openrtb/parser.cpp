#include "actors/bidding/openrtb/parser.hpp"

#include <new>
#include <simdjson.h>

#include "actors/bidding/openrtb/json.hpp"
#include "actors/bidding/openrtb/read_request.hpp"
#include "runtime/raw.hpp"

namespace cx::openrtb {

static_assert(kRawPadding >= simdjson::SIMDJSON_PADDING);

struct Document::Impl {
  simdjson::dom::document document;
};

Document::Document() : impl_(std::make_unique<Impl>()) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

/// DOM, not On-Demand: it also validates the strings, numbers and literals that nobody reads.
struct Parser::Impl {
  simdjson::dom::parser parser;
  std::string tamed;  ///< a copy of the rare body that needs tame_numbers

  simdjson::error_code parse(std::string& json, simdjson::dom::document& into, simdjson::dom::element& root) {
    json.reserve(json.size() + kRawPadding);
    return parser.parse_into_document(into, json.data(), json.size(), false).get(root);
  }
};

Parser::Parser() : impl_(std::make_unique<Impl>()) {
  constexpr std::size_t kCapacity = 16'384;  // grows as needed
  // simdjson refuses to enter level max_depth.
  if (impl_->parser.allocate(kCapacity, kMaxDepth + 1)) throw std::bad_alloc();
}
Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;

std::optional<Error> Parser::parse(std::string& body, Document& document, Request& request) {
  simdjson::dom::document& into = document.impl_->document;
  simdjson::dom::element root;
  auto failure = impl_->parse(body, into, root);
  if (failure == simdjson::NUMBER_ERROR) {
    impl_->tamed = body;
    impl_->tamed.reserve(body.size() + kRawPadding);
    tame_numbers(impl_->tamed, impl_->parser);
    failure = impl_->parse(impl_->tamed, into, root);
  }
  if (failure) return explain(failure, body);
  return read_request(root, request);
}

}  // namespace cx::openrtb
