#include "runtime/cluster/link.hpp"

#include <fmt/format.h>
#include <google/protobuf/arena.h>

namespace cx::cluster {
namespace {

constexpr std::size_t kHeader = 4;

void put_length(std::string& to, std::size_t length) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<char>(length >> shift));
}

std::size_t length_at(const char* bytes) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < kHeader; ++i) length = (length << 8) | static_cast<unsigned char>(bytes[i]);
  return length;
}

}  // namespace

void Link::greet(const v1::PeerHello& mine) {
  const auto bytes = mine.SerializeAsString();
  put_length(ready_, bytes.size());
  ready_ += bytes;
}

bool Link::receive(std::span<const char> bytes) {
  if (!why_.empty()) return false;
  // Frames that came whole are read where they are; only the rest of one is kept.
  const bool kept = !in_.empty();
  if (kept) in_.append(bytes.data(), bytes.size());
  const char* at = kept ? in_.data() : bytes.data();
  std::size_t left = kept ? in_.size() : bytes.size();
  while (left >= kHeader) {
    const auto length = length_at(at);
    const auto most = up_ ? kMostFrame : kMostHello;
    if (length > most) {
      why_ = fmt::format("it sent a frame of {} bytes where at most {} are taken", length, most);
      return false;
    }
    if (left - kHeader < length) break;
    if (!handle(at + kHeader, length)) return false;
    at += kHeader + length;
    left -= kHeader + length;
  }
  if (kept)
    in_.erase(0, static_cast<std::size_t>(at - in_.data()));
  else
    in_.assign(at, left);
  if (in_.empty() && in_.capacity() > 4 * kGoodFrame) in_.shrink_to_fit();
  return true;
}

bool Link::handle(const char* bytes, std::size_t size) {
  if (!up_) {
    if (!peer_.ParseFromArray(bytes, static_cast<int>(size))) {
      why_ = "what it said first is no hello of a node";
      return false;
    }
    why_ = events_.hello(*this);
    up_ = why_.empty();
    return up_;
  }
  ++frames_in_;
  if (size == 0) return true;
  google::protobuf::Arena arena;
  auto& frame = *google::protobuf::Arena::CreateMessage<v1::PeerFrame>(&arena);
  if (!frame.ParseFromArray(bytes, static_cast<int>(size))) {
    why_ = "it sent a frame that cannot be read";
    return false;
  }
  for (auto& reply : *frame.mutable_replies()) events_.replied(*this, reply);
  for (auto& request : *frame.mutable_requests()) events_.requested(*this, request);
  return true;
}

// Frames one after the other are one frame with what is in both: so Protobuf reads them.
bool Link::add(std::string_view frame) {
  if (frame.size() > kMostFrame) return false;
  if (open_.size() + frame.size() > kGoodFrame) seal();
  open_ += frame;
  return true;
}

void Link::beat() {
  seal();
  put_length(ready_, 0);
  ++frames_out_;
}

void Link::seal() {
  if (open_.empty()) return;
  put_length(ready_, open_.size());
  ready_ += open_;
  open_.clear();
  ++frames_out_;
}

void Link::take(std::vector<char>& to) {
  seal();
  to.insert(to.end(), ready_.begin(), ready_.end());
  ready_.clear();
  if (ready_.capacity() > 4 * kGoodFrame) ready_.shrink_to_fit();
  if (open_.capacity() > 4 * kGoodFrame) open_.shrink_to_fit();
}

}  // namespace cx::cluster
