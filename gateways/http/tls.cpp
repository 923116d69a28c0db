#include "gateways/http/tls.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <new>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

namespace cx::http {
namespace {

constexpr unsigned char kProtocol[] = "\x08http/1.1";  // as ALPN has it (RFC 7301)

std::string last_error() {
  const auto code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  const std::string text = reason == nullptr ? "it cannot be read" : reason;
  ERR_clear_error();
  return text;
}

Error wrong(std::string_view key, const std::string& file) {
  return {Code::invalid_argument, "invalid-configuration",
          fmt::format("http.tls.{}: {}: {}; it must be a PEM file that this process may read.", key, file,
                      last_error()),
          ""};
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kProtocol, sizeof kProtocol - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

std::string subject_of(SSL* ssl) {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl), &X509_free);
  if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return {};
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
  if (!text) throw std::bad_alloc();
  // Without ESC_MSB: letters beyond ASCII are UTF-8, as they are everywhere else here.
  X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate.get()), 0,
                     XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(text.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

TlsSession::TlsSession(ssl_ctx_st* context) : ssl_(SSL_new(context)) {
  auto* in = BIO_new(BIO_s_mem());
  auto* out = BIO_new(BIO_s_mem());
  if (ssl_ == nullptr || in == nullptr || out == nullptr) throw std::bad_alloc();
  SSL_set_bio(ssl_, in, out);
  SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

void TlsSession::received(std::size_t size) {
  BIO_write(SSL_get_rbio(ssl_), room_.data(), static_cast<int>(size));
}

std::size_t TlsSession::read(char* to, std::size_t size) {
  if (state_ != State::handshake && state_ != State::open) return 0;
  ERR_clear_error();
  std::size_t got = 0;
  const int result = SSL_read_ex(ssl_, to, size, &got);
  if (state_ == State::handshake && SSL_is_init_finished(ssl_) == 1) {
    state_ = State::open;
    subject_ = subject_of(ssl_);
  }
  if (result == 1) return got;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      break;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::ended;
      break;
    default:
      fail();
  }
  return 0;
}

void TlsSession::fail() {
  const auto code = ERR_peek_error();
  const bool http = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
  spdlog::debug("http: TLS failed: {}", last_error());
  state_ = http && state_ == State::handshake ? State::plain_http : State::failed;
}

void TlsSession::write(std::string_view plain) {
  if (!established() || plain.empty()) return;
  ERR_clear_error();
  std::size_t written = 0;  // all of it: a memory BIO takes everything
  if (SSL_write_ex(ssl_, plain.data(), plain.size(), &written) != 1) fail();
}

void TlsSession::finish() {
  ERR_clear_error();
  if (established()) SSL_shutdown(ssl_);
}

void TlsSession::take(std::string& out) {
  char* data = nullptr;
  auto* bio = SSL_get_wbio(ssl_);
  const auto size = BIO_get_mem_data(bio, &data);
  out.assign(data, static_cast<std::size_t>(size));
  BIO_reset(bio);
}

std::size_t TlsSession::waiting() const {
  return BIO_ctrl_pending(SSL_get_wbio(ssl_));
}

Result<std::unique_ptr<TlsContext>> TlsContext::load(const v1::TlsConfig& config) {
  const auto stamps = stamps_of(config);
  auto context = build(config);
  if (!context) return context.error();
  return std::unique_ptr<TlsContext>(new TlsContext(config, std::move(*context), stamps));
}

Result<TlsContext::Context> TlsContext::build(const v1::TlsConfig& config) {
  ERR_clear_error();
  const Context context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context) throw std::bad_alloc();
  auto* ctx = context.get();
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  // Only ciphers with forward secrecy and authentication in one (RFC 7525); those of TLS 1.3 all are.
  SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, nullptr);

  if (SSL_CTX_use_certificate_chain_file(ctx, config.certificate().c_str()) != 1)
    return wrong("certificate", config.certificate());
  // A prompt for a passphrase would stop the node.
  SSL_CTX_set_default_passwd_cb(ctx, [](char*, int, int, void*) { return 0; });
  if (SSL_CTX_use_PrivateKey_file(ctx, config.key().c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ctx) != 1)
    return wrong("key", config.key());

  if (!config.client_ca().empty()) {
    auto* names = SSL_load_client_CA_file(config.client_ca().c_str());
    if (names == nullptr) return wrong("client_ca", config.client_ca());
    SSL_CTX_set_client_CA_list(ctx, names);
    if (SSL_CTX_load_verify_locations(ctx, config.client_ca().c_str(), nullptr) != 1)
      return wrong("client_ca", config.client_ca());
    SSL_CTX_set_verify(
        ctx, SSL_VERIFY_PEER | (config.require_client_certificate() ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
    SSL_CTX_set_session_id_context(ctx, kProtocol, sizeof kProtocol);
  } else if (config.require_client_certificate()) {
    return Error{
        Code::invalid_argument, "invalid-configuration",
        "http.tls.require_client_certificate needs http.tls.client_ca: whose certificates are accepted.", ""};
  }
  return context;
}

TlsContext::Stamps TlsContext::stamps_of(const v1::TlsConfig& config) {
  Stamps stamps{};
  const std::string* files[] = {&config.certificate(), &config.key(), &config.client_ca()};
  for (std::size_t i = 0; i < stamps.size(); ++i) {
    struct stat file {};
    if (files[i]->empty() || ::stat(files[i]->c_str(), &file) != 0) continue;
    stamps[i] = {static_cast<std::int64_t>(file.st_ino), file.st_size, file.st_mtim.tv_sec,
                 file.st_mtim.tv_nsec};
  }
  return stamps;
}

std::unique_ptr<TlsSession> TlsContext::accept() const {
  Context context;
  {
    const std::lock_guard lock(mutex_);
    context = context_;
  }
  return std::make_unique<TlsSession>(context.get());  // holds a reference of its own
}

void TlsContext::refresh(SteadyTime now) {
  auto due = due_.load(std::memory_order_relaxed);
  const auto next = (now + std::chrono::seconds(1)).time_since_epoch().count();
  if (now.time_since_epoch().count() < due || !due_.compare_exchange_strong(due, next)) return;
  const std::lock_guard alone(refreshing_);
  const auto stamps = stamps_of(config_);
  const bool changed = stamps != stamps_;
  if (!changed && !stale_) return;
  stamps_ = stamps;
  auto context = build(config_);
  stale_ = !context;  // half-written files are tried again
  if (!context) {
    if (changed) spdlog::error("{} The certificate in use stays.", context.error().detail);
    return;
  }
  spdlog::info("http: the TLS certificate was read again");
  const std::lock_guard lock(mutex_);
  context_ = std::move(*context);
}

}  // namespace cx::http
