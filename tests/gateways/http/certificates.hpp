#pragma once

#include <filesystem>
#include <memory>
#include <string>

struct evp_pkey_st;
struct ssl_ctx_st;
struct x509_st;

namespace cx::http {

/// A key with its certificate, made for one test.
struct Identity {
  std::shared_ptr<x509_st> certificate;
  std::shared_ptr<evp_pkey_st> key;

  void write(const std::filesystem::path& certificate_file, const std::filesystem::path& key_file) const;
};

/// An authority that signs itself.
Identity authority(const std::string& name);
/// What `by` signs: CN=`name`, O=Acme; valid for localhost. `days` below zero: it has expired.
Identity signed_by(const Identity& by, const std::string& name, int days = 1);

/// A client's side: trusts what `server` signed, shows `self` where it is given, speaks `max_version` at
/// most.
std::shared_ptr<ssl_ctx_st> client_context(const Identity& server, const Identity* self = nullptr,
                                           int max_version = 0);

}  // namespace cx::http
