#include "gateways/http/pages.hpp"

#include <fmt/format.h>
#include <memory>
#include <new>
#include <openssl/evp.h>

#include "gateways/problem.hpp"
#include "runtime/json.hpp"

namespace cx::http {
namespace {

/// Half of its SHA-256, in hexadecimal digits.
std::string digest(std::string_view bytes) {
  std::array<unsigned char, 32> hash;
  if (EVP_Digest(bytes.data(), bytes.size(), hash.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc();
  std::string text;
  for (std::size_t i = 0; i < hash.size() / 2; ++i) text += fmt::format("{:02x}", hash[i]);
  return text;
}

RawReply variant_of(const Document& document, const std::string& tag, Encoding encoding, bool varies) {
  const bool plain = encoding == Encoding::identity;
  auto reply = RawReply::document(plain ? document.body : compress(document.body, encoding, Effort::best));
  // A strong tag names bytes: each coding has its own (RFC 9110, section 8.8.3.3).
  reply.metadata.emplace_back("etag",
                              plain ? '"' + tag + '"' : fmt::format("\"{}-{}\"", tag, name_of(encoding)));
  reply.metadata.emplace_back("cache-control", document.cache_control);
  if (!document.security_policy.empty())
    reply.metadata.emplace_back("content-security-policy", document.security_policy);
  if (varies) reply.metadata.emplace_back("vary", "Accept-Encoding");
  if (!plain) reply.metadata.emplace_back("content-encoding", name_of(encoding));
  return reply;
}

std::string description_of(const Problem& problem) {
  std::string out = "{\"type\":";
  append_json(out, fmt::format("/problems/{}", problem.type));
  out += ",\"status\":";
  append_json(out, problem.status);
  out += ",\"meaning\":";
  append_json(out, problem.meaning);
  out += ",\"remedy\":";
  append_json(out, problem.remedy);
  return out += "}\n";
}

}  // namespace

Page page_of(const Document& document) {
  using Variants = std::array<RawReply, 3>;  // by Encoding
  const bool varies = document.body.size() >= kWorthEncoding && is_compressible(document.content_type);
  const auto tag = digest(document.body);
  auto variants = std::make_shared<Variants>();
  for (const auto encoding : {Encoding::identity, Encoding::gzip, Encoding::br})
    (*variants)[static_cast<std::size_t>(encoding)] =
        variant_of(document, tag, varies ? encoding : Encoding::identity, varies);
  return [variants](Encoding accepts) { return (*variants)[static_cast<std::size_t>(accepts)]; };
}

void add_problems(Router& router) {
  const std::string label = "/problems/{type}";
  router.add("/problems", "text/markdown; charset=utf-8",
             page_of({"text/markdown", std::string(problem_catalogue())}), "/problems");
  for (const auto& problem : problems())
    router.add("/problems/" + std::string(problem.type), "application/json",
               page_of({"application/json", description_of(problem)}), label);
}

}  // namespace cx::http
