#pragma once

#include <boost/system/result.hpp>
#include <string>

namespace cx::ctl {

/// What a script learns from the exit code.
enum class Exit {
  done = 0,
  server_failed = 1,
  usage = 2,
  not_found = 3,
  denied = 4,
  conflict = 5,
  unreachable = 6,  ///< or timed out: try again
  rejected = 7,     ///< the input can never succeed as it is
  bad = 10,         ///< answered, and the answer is "bad"
  interrupted = 130,
};

/// Why a command ended without a report.
struct Failure {
  Exit exit = Exit::server_failed;
  std::string type;      ///< last part of the problem type, stable: "unreachable"
  std::string detail;    ///< what was wrong, where, and what to do
  std::string document;  ///< the server's RFC 9457 document, where it sent one
  unsigned status = 0;   ///< of the server's answer; 0 when there was none
};

template <class T>
using Outcome = boost::system::result<T, Failure>;

/// A mistake in how the command was called.
Failure usage(std::string detail);

/// `status`: of a response outside 2xx.
Exit exit_for(unsigned status);

/// The RFC 9457 document of a failure, on one line.
std::string problem_document(const Failure& failure);

/// What a person reads of it, one or two lines without control characters.
std::string problem_text(const Failure& failure);

/// boost::system::result asks for this; nothing here calls value() on a failure.
[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location& where);

}  // namespace cx::ctl
