#include "gateways/http/encoding.hpp"

#include <array>
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <new>
#include <zlib.h>

#include "gateways/http/fields.hpp"

namespace cx::http {
namespace {

constexpr int kGzip = 15 + 16;  // zlib's window bits for a gzip header and trailer
constexpr std::size_t kStep = 16 * 1024;
constexpr std::size_t kLarge = 256 * 1024;  // past it, brotli's best takes seconds

Error too_large(std::size_t limit) {
  return {Code::invalid_argument, "body-too-large",
          fmt::format("The body exceeds {} bytes (http.max_body) when it is decompressed; send less at once.",
                      limit),
          ""};
}

Error malformed(Encoding encoding) {
  return {Code::invalid_argument, "malformed-encoding",
          fmt::format("The body is not, or not only, whole {} data, which its Content-Encoding names.",
                      name_of(encoding)),
          ""};
}

std::string deflated(std::string_view text, int level) {
  z_stream z{};
  if (deflateInit2(&z, level, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, decltype(&deflateEnd)> end(&z, &deflateEnd);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) throw std::bad_alloc();
  out.resize(z.total_out);
  return out;
}

std::string brotli(std::string_view text, int quality) {
  std::string out(BrotliEncoderMaxCompressedSize(text.size()), '\0');
  auto size = out.size();
  if (BrotliEncoderCompress(quality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, text.size(),
                            reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                            reinterpret_cast<std::uint8_t*>(out.data())) == BROTLI_FALSE)
    throw std::bad_alloc();
  out.resize(size);
  return out;
}

Result<std::string> inflated(std::string_view bytes, std::size_t limit) {
  z_stream z{};
  if (inflateInit2(&z, kGzip) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&z, &inflateEnd);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::array<char, kStep> step;
  while (true) {
    z.next_out = reinterpret_cast<Bytef*>(step.data());
    z.avail_out = step.size();
    const int state = inflate(&z, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END) return malformed(Encoding::gzip);
    const auto produced = step.size() - z.avail_out;
    if (out.size() + produced > limit) return too_large(limit);
    out.append(step.data(), produced);
    if (state != Z_STREAM_END) continue;
    if (z.avail_in != 0) return malformed(Encoding::gzip);
    return out;
  }
}

Result<std::string> unbrotlied(std::string_view bytes, std::size_t limit) {
  const std::unique_ptr<BrotliDecoderState, decltype(&BrotliDecoderDestroyInstance)> state(
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr), &BrotliDecoderDestroyInstance);
  if (!state) throw std::bad_alloc();
  auto left = bytes.size();
  auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  std::string out;
  std::array<char, kStep> step;
  while (true) {
    auto room = step.size();
    auto* to = reinterpret_cast<std::uint8_t*>(step.data());
    const auto result = BrotliDecoderDecompressStream(state.get(), &left, &in, &room, &to, nullptr);
    const auto produced = step.size() - room;
    if (out.size() + produced > limit) return too_large(limit);
    out.append(step.data(), produced);
    if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) continue;
    if (result != BROTLI_DECODER_RESULT_SUCCESS || left != 0) return malformed(Encoding::br);
    return out;
  }
}

/// The weight of an element "gzip;q=0.5" in thousandths; 0 for one that is not well-formed.
int weight_of(std::string_view parameters) {
  parameters = trimmed(parameters);
  if (parameters.empty()) return 1000;
  if (parameters.size() < 3 || (parameters[0] != 'q' && parameters[0] != 'Q') || parameters[1] != '=')
    return 0;
  parameters.remove_prefix(2);
  if (parameters.size() > 5 || (parameters[0] != '0' && parameters[0] != '1')) return 0;
  int thousandths = (parameters[0] - '0') * 1000;
  if (parameters.size() > 1 && parameters[1] != '.') return 0;
  int place = 100;
  for (std::size_t i = 2; i < parameters.size(); ++i, place /= 10) {
    if (parameters[i] < '0' || parameters[i] > '9') return 0;
    thousandths += (parameters[i] - '0') * place;
  }
  return thousandths > 1000 ? 0 : thousandths;
}

}  // namespace

std::string_view name_of(Encoding encoding) {
  return encoding == Encoding::gzip ? "gzip" : encoding == Encoding::br ? "br" : "";
}

Encoding preferred(std::string_view accept_encoding) {
  int gzip = -1, br = -1, identity = -1, others = 0;
  for_each_element(accept_encoding, [&](std::string_view element) {
    const auto semicolon = std::min(element.find(';'), element.size());
    const auto coding = trimmed(element.substr(0, semicolon));
    const int weight = weight_of(element.substr(std::min(semicolon + 1, element.size())));
    if (same(coding, "gzip") || same(coding, "x-gzip")) gzip = weight;
    if (same(coding, "br")) br = weight;
    if (same(coding, "identity")) identity = weight;
    if (coding == "*") others = weight;
  });
  if (gzip < 0) gzip = others;
  if (br < 0) br = others;
  if (identity < 0) identity = 0;  // acceptable, but nobody asked for it
  if (br > 0 && br >= gzip && br >= identity) return Encoding::br;
  return gzip > 0 && gzip >= identity ? Encoding::gzip : Encoding::identity;
}

std::optional<Encoding> encoding_of(std::string_view content_encoding) {
  const auto name = trimmed(content_encoding);
  if (name.empty() || same(name, "identity")) return Encoding::identity;
  if (same(name, "gzip") || same(name, "x-gzip")) return Encoding::gzip;
  if (same(name, "br")) return Encoding::br;
  return std::nullopt;
}

bool is_compressible(std::string_view content_type) {
  const auto type = trimmed(content_type.substr(0, content_type.find(';')));
  const auto ends = [type](std::string_view with) {
    return type.size() >= with.size() && type.substr(type.size() - with.size()) == with;
  };
  return type.substr(0, 5) == "text/" || ends("json") || ends("javascript") || ends("+xml") || ends("/xml");
}

std::string compress(std::string_view text, Encoding encoding, Effort effort) {
  const bool best = effort == Effort::best;
  if (encoding == Encoding::gzip) return deflated(text, best ? 9 : 2);
  return brotli(text, !best ? 3 : text.size() > kLarge ? 9 : 11);
}

Result<std::string> decompress(std::string_view bytes, Encoding encoding, std::size_t limit) {
  if (encoding == Encoding::identity) return std::string(bytes);
  return encoding == Encoding::gzip ? inflated(bytes, limit) : unbrotlied(bytes, limit);
}

std::string_view metadata_of(const RawReply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.metadata)
    if (key == name) return value;
  return {};
}

void encode(RawReply& reply, std::string_view content_type, Encoding accepts, std::size_t worth) {
  if (reply.kind != RawReply::Kind::document || reply.body.size() < worth) return;
  if (!metadata_of(reply, "content-encoding").empty() || !metadata_of(reply, "vary").empty()) return;
  if (const auto own = metadata_of(reply, "content-type"); !own.empty()) content_type = own;
  if (!is_compressible(content_type)) return;
  reply.metadata.emplace_back("vary", "Accept-Encoding");
  if (accepts == Encoding::identity) return;
  reply.body = compress(reply.body, accepts, Effort::quick);
  reply.metadata.emplace_back("content-encoding", name_of(accepts));
}

}  // namespace cx::http
