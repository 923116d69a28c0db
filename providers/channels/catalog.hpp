#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "cx/v1/delivery.pb.h"
#include "providers/channels/accounts.hpp"
#include "runtime/catalog/compiled.hpp"
#include "runtime/net/outbound.hpp"

namespace cx::channels {

/// Kinds of documents: v1::ChannelAccount and v1::MessageTemplate.
inline constexpr char kChannelDocument[] = "channel";
inline constexpr char kTemplateDocument[] = "template";

/// What is wrong with an account or a template; its pointer leads into the document. `allowed`: private
/// servers that an account may name.
std::optional<Error> validate(const v1::ChannelAccount& account, const net::PrivateHosts& allowed);
std::optional<Error> validate(const v1::MessageTemplate& content);

/// Of a valid document.
Result<Account> compile(const v1::ChannelAccount& account);
Result<Content> compile(const v1::MessageTemplate& content);

/// Makes both kinds of documents.
void define_channel_documents(Catalog& catalog, net::PrivateHosts allowed);

/// By "tenant/id".
template <class T>
using ByName = std::unordered_map<std::string, std::shared_ptr<const T>>;

struct ChannelDirectory {
  ByName<Account> accounts;
  ByName<Content> contents;
};
/// Of all documents of both kinds. One that no longer compiles is logged and left out.
Result<ChannelDirectory> compile_channels(const Definitions& definitions);

/// Accounts and templates of the catalog, as they are now.
class CatalogAccounts final : public Accounts {
 public:
  /// See Compiled; may block.
  explicit CatalogAccounts(Catalog& catalog)
      : compiled_(catalog, {kChannelDocument, kTemplateDocument}, compile_channels) {}

  std::shared_ptr<const Account> account(std::string_view tenant, std::string_view id) const override;
  std::shared_ptr<const Content> content(std::string_view tenant, std::string_view id) const override;
  CompiledStatus status() const { return compiled_.status(); }

 private:
  Compiled<ChannelDirectory> compiled_;
};

}  // namespace cx::channels
