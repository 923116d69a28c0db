#pragma once

#include <string>
#include <utility>
#include <variant>

namespace cx {

/// What kind of failure a caller faces; gateways translate it to their protocol.
enum class Code {
  invalid_argument,     ///< HTTP 400: the request can never succeed as it is
  not_found,            ///< 404
  conflict,             ///< 409: it is not, or no longer, what the request says that it is
  overloaded,           ///< 503 with Retry-After: nothing was done, try again
  deadline_exceeded,    ///< 504: the outcome did not arrive in time
  unavailable,          ///< 503: starting, draining, or a part is missing
  internal,             ///< 500: a fault of ours
  unauthenticated,      ///< 401: no credential, or one that is not valid
  permission_denied,    ///< 403: the caller may not do this
  rate_limited,         ///< 429 with Retry-After: the caller has used up what it may ask for
  precondition_failed,  ///< 412: it has changed since the caller looked
};

/// A failure as a value. `type` is the last part of the problem type ("invalid-bid-request"), stable;
/// `detail` says what was wrong, where, and what to do; `pointer` is a JSON pointer into the request, or
/// empty.
struct Error {
  Code code = Code::internal;
  std::string type;
  std::string detail;
  std::string pointer;
};

/// A value or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::move(value)) {}
  Result(Error error) : held_(std::move(error)) {}

  explicit operator bool() const { return held_.index() == 0; }
  T& operator*() { return std::get<0>(held_); }
  const T& operator*() const { return std::get<0>(held_); }
  T* operator->() { return &std::get<0>(held_); }
  const T* operator->() const { return &std::get<0>(held_); }
  const Error& error() const { return std::get<1>(held_); }

 private:
  std::variant<T, Error> held_;
};

}  // namespace cx
