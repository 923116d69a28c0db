#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/error.hpp"
#include "runtime/raw.hpp"

namespace cx::http {

/// Content codings (RFC 9110, section 8.4.1; br: RFC 7932).
enum class Encoding : std::uint8_t { identity, gzip, br };

/// "gzip", "br"; empty for identity.
std::string_view name_of(Encoding encoding);

/// The coding that an Accept-Encoding field likes best of ours; br before gzip before none among equals, none
/// where the field is empty. A client that refuses even identity gets it all the same.
Encoding preferred(std::string_view accept_encoding);

/// What a Content-Encoding field names, if it is one coding of ours; identity where it is empty.
std::optional<Encoding> encoding_of(std::string_view content_encoding);

/// Replies smaller than this are sent as they are, in bytes.
inline constexpr std::size_t kWorthEncoding = 1024;
/// The same for raw replies: bids are small, hot, and in a hurry.
inline constexpr std::size_t kWorthEncodingRaw = 16 * 1024;

/// Whether documents of a media type shrink: text, JSON, scripts, SVG.
bool is_compressible(std::string_view content_type);

enum class Effort { quick, best };
/// `text` in gzip or br. `best` is for what is compressed once and sent often.
std::string compress(std::string_view text, Encoding encoding, Effort effort);

/// The reverse, stopping as soon as the result exceeds `limit` bytes. Errors: invalid_argument
/// "body-too-large" (413), "malformed-encoding" (400). Nothing may follow the compressed data.
Result<std::string> decompress(std::string_view bytes, Encoding encoding, std::size_t limit);

/// Compresses a document of at least `worth` bytes, if the client accepts that and its type shrinks, and says
/// so in its metadata. A document that has a content-encoding or a vary field stays as it is.
void encode(RawReply& reply, std::string_view content_type, Encoding accepts, std::size_t worth);

/// A value of a reply's metadata; empty where there is none.
std::string_view metadata_of(const RawReply& reply, std::string_view name);

}  // namespace cx::http
