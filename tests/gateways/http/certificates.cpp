#include "certificates.hpp"

#include <cstdio>
#include <doctest/doctest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace cx::http {
namespace {

void add(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  auto* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  REQUIRE(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Identity make(const Identity* by, const std::string& name, int days) {
  Identity made{{X509_new(), &X509_free}, {EVP_EC_gen("P-256"), &EVP_PKEY_free}};
  auto* certificate = made.certificate.get();
  long serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), 4);
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial + 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * 86400L);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
  X509_set_pubkey(certificate, made.key.get());
  auto* subject = X509_get_subject_name(certificate);
  const auto entry = [subject](const char* field, const std::string& value) {
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1, 0);
  };
  entry("O", "Acme");
  entry("CN", name);
  auto* issuer = by == nullptr ? certificate : by->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  add(certificate, issuer, NID_basic_constraints, by == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (by != nullptr) add(certificate, issuer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  REQUIRE(X509_sign(certificate, by == nullptr ? made.key.get() : by->key.get(), EVP_sha256()) > 0);
  return made;
}

}  // namespace

void Identity::write(const std::filesystem::path& certificate_file,
                     const std::filesystem::path& key_file) const {
  const auto save = [](const std::filesystem::path& path, auto put) {
    const std::shared_ptr<FILE> file(std::fopen(path.c_str(), "w"), &std::fclose);
    REQUIRE(file != nullptr);
    put(file.get());
  };
  save(certificate_file, [&](FILE* file) { PEM_write_X509(file, certificate.get()); });
  save(key_file,
       [&](FILE* file) { PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

Identity authority(const std::string& name) {
  return make(nullptr, name, 1);
}

Identity signed_by(const Identity& by, const std::string& name, int days) {
  return make(&by, name, days);
}

std::shared_ptr<ssl_ctx_st> client_context(const Identity& server, const Identity* self, int max_version) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), server.certificate.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (self != nullptr) {
    SSL_CTX_use_certificate(context.get(), self->certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), self->key.get());
  }
  if (max_version != 0) SSL_CTX_set_max_proto_version(context.get(), max_version);
  return context;
}

}  // namespace cx::http
