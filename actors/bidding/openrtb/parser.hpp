#pragma once

#include <memory>
#include <optional>
#include <string>

#include "actors/bidding/openrtb/request.hpp"
#include "runtime/error.hpp"

namespace cx::openrtb {

/// Holds what the views of a Request point to. Reuse it, and its memory is reused; it grows to about ten
/// times its largest body. Moving keeps the views alive; a moved-from Document can only be assigned to or
/// destroyed.
class Document {
 public:
  Document();
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

 private:
  friend class Parser;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Parses and validates bid requests. Not thread-safe: one per agent.
class Parser {
 public:
  static constexpr int kMaxDepth = 64;  ///< of nested objects and arrays

  Parser();
  ~Parser();
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;

  /// Overwrites every field of `request`; its vectors keep their capacity where the shape of requests
  /// repeats. `body` is parsed in place: its content stays, and it is reallocated only when it lacks
  /// kRawPadding bytes of capacity behind its end. It is not needed afterwards; `document` is.
  ///
  /// Returns nothing on success. Otherwise `request` holds no meaning, and the error is `invalid_argument`,
  /// "invalid-bid-request", with a JSON pointer to the culprit ("" when the body is not JSON), or
  /// `overloaded`, "out-of-memory".
  [[nodiscard]] std::optional<Error> parse(std::string& body, Document& document, Request& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cx::openrtb
