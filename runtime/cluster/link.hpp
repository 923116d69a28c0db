#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cx/v1/cluster.pb.h"

namespace cx::cluster {

class Link;

/// Gets what comes over a link. May call add() and the const functions of it.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  /// Who the other side is: fit for frames from now on. Returns why not, empty if it may stay.
  virtual std::string hello(Link& link) = 0;
  virtual void requested(Link& link, v1::PeerRequest& request) = 0;
  virtual void replied(Link& link, v1::PeerReply& reply) = 0;
};

/// One side of a connection between two nodes, without the socket: bytes in, messages out, and back. Each
/// side sends PeerHello first, then PeerFrames; each as its length (four bytes, the highest first) and its
/// bytes. A frame of no bytes says that somebody is there.
class Link {
 public:
  static constexpr std::uint32_t kProtocol = 1;
  static constexpr std::size_t kMostHello = 4096;
  /// Of a frame. Nobody is asked for memory before the bytes have come.
  static constexpr std::size_t kMostFrame = 64u << 20;
  /// What goes into one frame together with others; one larger gets its own.
  static constexpr std::size_t kGoodFrame = 256u << 10;

  Link(std::uint64_t number, LinkEvents& events) : number_(number), events_(events) {}

  /// Says hello; first of all.
  void greet(const v1::PeerHello& mine);
  /// Bytes from the other side, however they were cut. False when it is to be closed; why() says the reason.
  bool receive(std::span<const char> bytes);

  /// Puts a serialised PeerFrame into what goes out next, together with others. One that is larger than a
  /// frame may be is not put, and the answer is false.
  bool add(std::string_view frame);
  /// Somebody is here.
  void beat();

  /// Appends what is to go out to `to`, and forgets it.
  void take(std::vector<char>& to);
  bool has_output() const { return !ready_.empty() || !open_.empty(); }

  std::uint64_t number() const { return number_; }
  bool up() const { return up_; }
  const v1::PeerHello& peer() const { return peer_; }
  const std::string& why() const { return why_; }
  std::uint64_t frames_in() const { return frames_in_; }
  std::uint64_t frames_out() const { return frames_out_; }

 private:
  bool handle(const char* bytes, std::size_t size);
  void seal();

  const std::uint64_t number_;
  LinkEvents& events_;
  bool up_ = false;
  v1::PeerHello peer_;
  std::string why_;
  std::string in_;     ///< the start of a frame
  std::string open_;   ///< the frame that fills
  std::string ready_;  ///< frames that are complete
  std::uint64_t frames_in_ = 0, frames_out_ = 0;
};

}  // namespace cx::cluster
