#include "runtime/catalog/serve.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>
#include <stdexcept>

#include "runtime/catalog/input_only.hpp"

namespace cx {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Verb = v1::DocumentMethod;
using Reply = Services::Reply;

constexpr std::uint32_t kDefaultPage = 50;
constexpr int kAttempts = 16;  // of an edit that others overtake

const FieldDescriptor* field_of(const Message& message, const std::string& name) {
  return message.GetDescriptor()->FindFieldByName(name);
}

void set_text(Message& message, const std::string& name, const std::string& value) {
  if (const auto* field = field_of(message, name); field != nullptr)
    message.GetReflection()->SetString(&message, field, value);
}

void set_number(Message& message, const std::string& name, std::uint64_t value) {
  if (const auto* field = field_of(message, name); field != nullptr)
    message.GetReflection()->SetUInt64(&message, field, value);
}

void set_time(Message& message, const std::string& name, std::int64_t unix_ms) {
  if (const auto* field = field_of(message, name); field != nullptr)
    message.GetReflection()
        ->MutableMessage(&message, field)
        ->CopyFrom(google::protobuf::util::TimeUtil::MillisecondsToTimestamp(unix_ms));
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// What is shown of a document and not stored.
void clear_shown(Message& body) {
  for (const auto* name : {"etag", "revision", "updated_at", "updated_by", "removed"})
    if (const auto* field = field_of(body, name); field != nullptr)
      body.GetReflection()->ClearField(&body, field);
}

/// Serves one method.
class Serve {
 public:
  Serve(const Method& method, const v1::DocumentMethod& option, Catalog& catalog)
      : method_(method), option_(option), catalog_(catalog) {}

  Reply operator()(const CallContext& call, const Message& request) const {
    const std::string id = option_.id().empty() ? "" : field_text(request, option_.id());
    const DocumentKey key{option_.kind(), call.caller->tenant, id};
    const auto& actor = call.caller->actor;
    switch (option_.verb()) {
      case Verb::GET:
        return shown(catalog_.get(key));
      case Verb::PUT: {
        const auto* field = field_of(request, option_.body());
        const std::unique_ptr<Message> body(request.GetReflection()->GetMessage(request, field).New());
        body->CopyFrom(request.GetReflection()->GetMessage(request, field));
        clear_shown(*body);
        set_text(*body, "id", id);
        return shown(put(key, *body, if_match(request), actor));
      }
      case Verb::REMOVE: {
        const auto removed = catalog_.remove(key, if_match(request), actor);
        if (!removed) return removed.error();
        return std::shared_ptr<const Message>(method_.reply->New());
      }
      case Verb::LIST:
        return list(key, request);
      case Verb::HISTORY:
        return history(key, request);
      case Verb::ROLLBACK: {
        const auto revision = number(field_text(request, "revision"));
        return shown(catalog_.rollback(key, revision, if_match(request), actor));
      }
      default:
        throw std::logic_error(method_.name + ": its document option has no verb");
    }
  }

 private:
  std::optional<std::string> if_match(const Message& request) const {
    if (method_.if_match == nullptr) return std::nullopt;
    auto tag = request.GetReflection()->GetString(request, method_.if_match);
    return tag.empty() ? std::nullopt : std::optional(std::move(tag));
  }

  /// Stores a body; what callers cannot see, and left out, stays what it was.
  Result<v1::Document> put(const DocumentKey& key, const Message& body,
                           const std::optional<std::string>& if_match, const std::string& actor) const {
    if (!has_input_only(*body.GetDescriptor())) return catalog_.put(key, body, if_match, actor);
    for (int attempt = 1;; ++attempt) {
      const std::unique_ptr<Message> whole(body.New());
      whole->CopyFrom(body);
      const auto newest = catalog_.get(key);
      if (!newest && newest.error().code != Code::not_found) return newest.error();
      if (newest) {
        const std::unique_ptr<Message> before(body.New());
        if (before->ParseFromString(newest->body().bytes())) keep_input_only(*whole, *before);
      }
      // Only that revision may be replaced whose secrets these are, whatever the caller would replace.
      const bool any = !if_match || (newest && *if_match == "*");
      const auto stored =
          catalog_.put(key, *whole, any ? std::optional(newest ? newest->etag() : "") : if_match, actor);
      const bool overtaken =
          !stored && any &&
          (stored.error().code == Code::precondition_failed || stored.error().code == Code::conflict ||
           stored.error().code == Code::not_found);
      if (!overtaken || attempt == kAttempts) return stored;
    }
  }

  /// Reads a document into `body`, with what it does not store. A removal shows what it removed.
  std::optional<Error> read(const v1::Document& document, Message& body) const {
    if (!document.has_body()) {
      const auto before = catalog_.get(key_of(document), document.revision() - 1);
      if (!before) return before.error();
      if (auto error = read(*before, body)) return error;
      if (const auto* removed = field_of(body, "removed"); removed != nullptr)
        body.GetReflection()->SetBool(&body, removed, true);
    } else if (!body.ParseFromString(document.body().bytes())) {
      return Error{
          Code::internal, "corrupt",
          "The body of " + key_of(document).text() + " cannot be read. Roll it back or store it again.", ""};
    }
    strip_input_only(body);
    set_text(body, "id", document.id());
    set_text(body, "etag", document.etag());
    set_number(body, "revision", document.revision());
    set_time(body, "updated_at", document.at());
    set_text(body, "updated_by", document.actor());
    return std::nullopt;
  }

  Reply shown(const Result<v1::Document>& document) const {
    if (!document) return document.error();
    std::shared_ptr<Message> body(method_.reply->New());
    if (auto error = read(*document, *body)) return *std::move(error);
    return std::shared_ptr<const Message>(std::move(body));
  }

  /// The reply that holds `documents`; `next` goes on after the last of them when there are more than `size`.
  template <class Next>
  Reply page(const Result<std::vector<v1::Document>>& documents, std::size_t size, Next next) const {
    if (!documents) return documents.error();
    std::shared_ptr<Message> reply(method_.reply->New());
    const auto& type = *reply->GetDescriptor();
    const FieldDescriptor* items = nullptr;
    for (int i = 0; i < type.field_count() && items == nullptr; ++i)
      if (type.field(i)->is_repeated() && type.field(i)->message_type() != nullptr) items = type.field(i);
    if (items == nullptr) throw std::logic_error(method_.name + ": its reply has no list of documents");
    const auto n = std::min(documents->size(), size);
    for (std::size_t i = 0; i < n; ++i)
      if (auto error = read((*documents)[i], *reply->GetReflection()->AddMessage(reply.get(), items)))
        return *std::move(error);
    if (documents->size() > size) set_text(*reply, "next_page_token", next((*documents)[n - 1]));
    return std::shared_ptr<const Message>(std::move(reply));
  }

  static std::size_t page_size(const Message& request) {
    const auto asked =
        field_of(request, "page_size") == nullptr ? 0 : number(field_text(request, "page_size"));
    return asked == 0 ? kDefaultPage : std::min<std::uint64_t>(asked, 999);  // one more is asked for
  }
  static std::string token(const Message& request) {
    return field_of(request, "page_token") == nullptr ? "" : field_text(request, "page_token");
  }

  Reply list(const DocumentKey& key, const Message& request) const {
    const auto size = page_size(request);
    return page(catalog_.list(key.kind, key.tenant, token(request), size + 1), size,
                [](const v1::Document& last) { return last.id(); });
  }

  Reply history(const DocumentKey& key, const Message& request) const {
    const auto size = page_size(request);
    const auto text = token(request);
    std::uint64_t before = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), before);
    if (!text.empty() && (error != std::errc() || end != text.data() + text.size()))
      return Error{Code::invalid_argument, "invalid-page-token",
                   "The page_token is not one that this method gave; leave it out for the first page.",
                   "/page_token"};
    return page(catalog_.history(key, before, size + 1), size,
                [](const v1::Document& last) { return std::to_string(last.revision()); });
  }

  const Method method_;
  const v1::DocumentMethod option_;
  Catalog& catalog_;
};

void check(const Method& method, const v1::DocumentMethod& option) {
  const auto* type = method.descriptor->input_type();
  const bool put = option.verb() == Verb::PUT;
  const auto* body = type->FindFieldByName(option.body());
  if (option.kind().empty() || put != (body != nullptr && body->message_type() != nullptr))
    throw std::logic_error(method.name + ": its document option does not fit its request");
  if (put && body->message_type() != method.descriptor->output_type())
    throw std::logic_error(method.name + ": it takes and returns different documents");
}

}  // namespace

void serve_documents(const ServiceDescriptors& services, Catalog& catalog, Executor& executor,
                     Services& table) {
  for (const auto& method : methods_of(services, table)) {
    const auto& options = method.descriptor->options();
    if (!options.HasExtension(v1::document) || method.unary != nullptr) continue;
    const auto& option = options.GetExtension(v1::document);
    check(method, option);
    table.add(method.name,
              Services::Unary([serve = std::make_shared<Serve>(method, option, catalog), &executor](
                                  const CallContext& call, const std::shared_ptr<const Message>& request,
                                  const Services::Respond& respond) {
                executor.post([serve, call, request, respond] {
                  answer(respond, [&] { return (*serve)(call, *request); });
                });
              }));
  }
}

}  // namespace cx
