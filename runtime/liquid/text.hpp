#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the language needs of texts. Characters are Unicode code points; bytes that are not UTF-8 count as
/// one each. Nothing here takes more than linear time.
namespace cx::liquid {

/// Space, \t, \n, \v, \f, \r.
bool is_space(char c);
/// A digit, a letter of ASCII or '_'.
bool is_word(char c);

std::string_view trim_left(std::string_view text);
std::string_view trim_right(std::string_view text);
std::string_view trim(std::string_view text);

bool is_utf8(std::string_view text);
/// How many bytes the character at the beginning of `text` has; text must not be empty.
std::size_t character_bytes(std::string_view text);
std::size_t count_characters(std::string_view text);
/// The place after the first `n` characters.
std::size_t offset_of(std::string_view text, std::size_t n);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalized(std::string_view text);

/// Like std::string_view::find, but linear in the worst case, too.
std::size_t find(std::string_view text, std::string_view what, std::size_t from = 0);
std::size_t find_last(std::string_view text, std::string_view what);

/// String#split of Ruby: " " splits at runs of space, "" into characters; no empty parts at the end. Nullopt:
/// more than `most` parts.
std::optional<std::vector<std::string_view>> split(std::string_view text, std::string_view separator,
                                                   std::size_t most);

/// String#to_i of Ruby: the whole number that the text begins with, 0 without one, held within 64 bits.
std::int64_t leading_integer(std::string_view text);

/// As Ruby prints: shortest digits that read back the same, "5.0", "1.0e+20".
void append_float(std::string& out, double number);

void append_escaped(std::string& out, std::string_view text);
/// Leaves entities as they are.
std::string escaped_once(std::string_view text);
std::string without_tags(std::string_view html);

std::string url_encoded(std::string_view text);
std::string url_decoded(std::string_view text);
std::string base64(std::string_view bytes, bool url);
/// RFC 4648, padded; the padding may be missing from the URL-safe alphabet, which also accepts the other one.
std::optional<std::string> from_base64(std::string_view text, bool url);

}  // namespace cx::liquid
