#include "runtime/catalog/serve.hpp"

#include <doctest/doctest.h>

#include "runtime/catalog/rocks_store.hpp"
#include "shelves.pb.h"
#include "tests/faults/fault_environment.hpp"
#include "tests/queued_executor.hpp"

namespace cx::test {
namespace {

using google::protobuf::Message;

struct Fixture {
  Fixture() {
    auto opened = RocksDocumentStore::open("/data/catalog", environment.files());
    REQUIRE(opened);
    store = std::move(*opened);
    catalog = std::make_unique<Catalog>(*store, environment.clock(), executor);
    catalog->define<Label>("label", [](const Label& label) -> std::optional<Error> {
      if (label.text() != "bad") return std::nullopt;
      return Error{Code::invalid_argument, "bad-label", "Not that one.", "/text"};
    });
    serve_documents({Label::descriptor()->file()->FindServiceByName("Labels")}, *catalog, executor, table);
  }

  Services::Reply ask(const std::string& method, const Message& message, const std::string& tenant = "acme") {
    auto caller = std::make_shared<Caller>();
    caller->tenant = tenant;
    caller->actor = "user/ann";
    CallContext context;
    context.caller = std::move(caller);
    std::shared_ptr<Message> request(message.New());
    request->CopyFrom(message);
    Services::Reply got = Error{};
    (*table.unary("cx.test.Labels." + method))(
        context, request, Services::Respond([&](Services::Reply reply) { got = std::move(reply); }));
    executor.run();
    return got;
  }
  template <class T>
  Result<T> ask_for(const std::string& method, const Message& message, const std::string& tenant = "acme") {
    const auto reply = ask(method, message, tenant);
    if (!reply) return reply.error();
    return static_cast<const T&>(**reply);
  }
  Result<Label> put(const std::string& id, const std::string& text, const std::string& if_match = "") {
    PutLabel request;
    request.set_label_id(id);
    request.mutable_label()->set_text(text);
    request.mutable_label()->set_etag("what a caller says of this is ignored");
    request.set_if_match(if_match);
    return ask_for<Label>("Put", request);
  }
  Result<Label> get(const std::string& id, const std::string& tenant = "acme") {
    GetLabel request;
    request.set_label_id(id);
    return ask_for<Label>("Get", request, tenant);
  }

  FaultEnvironment environment;
  QueuedExecutor executor;
  std::unique_ptr<RocksDocumentStore> store;
  std::unique_ptr<Catalog> catalog;
  Services table;
};

std::string texts(const LabelPage& page) {
  std::string all;
  for (const auto& label : page.labels()) all += label.text() + " ";
  return all + page.next_page_token();
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "documents are put, shown, listed, removed and brought back, in one tenant") {
  const auto first = put("a", "one");
  REQUIRE(first);
  CHECK(first->id() == "a");
  CHECK(first->revision() == 1);
  CHECK(first->updated_by() == "user/ann");
  CHECK(first->has_updated_at());
  CHECK(put("a", "two", "wrong").error().type == "etag-mismatch");
  CHECK(put("a", "two", first->etag()));
  CHECK(put("a", "bad").error().pointer == "/text");
  CHECK(get("a")->text() == "two");
  CHECK(get("a", "other").error().type == "no-such-document");

  REQUIRE(put("b", "bee"));
  ListLabels list;
  list.set_page_size(1);
  auto page = ask_for<LabelPage>("List", list);
  REQUIRE(page);
  CHECK(texts(*page) == "two a");
  list.set_page_token(page->next_page_token());
  CHECK(texts(*ask_for<LabelPage>("List", list)) == "bee ");
  CHECK(ask_for<LabelPage>("List", ListLabels(), "other")->labels_size() == 0);

  RollbackLabel back;
  back.set_label_id("a");
  back.set_revision(1);
  CHECK(ask_for<Label>("Rollback", back)->text() == "one");
  ListLabelRevisions revisions;
  revisions.set_label_id("a");
  CHECK(texts(*ask_for<LabelPage>("ListRevisions", revisions)) == "one two one ");
  revisions.set_page_size(2);
  page = ask_for<LabelPage>("ListRevisions", revisions);
  revisions.set_page_token(page->next_page_token());
  CHECK(texts(*ask_for<LabelPage>("ListRevisions", revisions)) == "one ");
  revisions.set_page_token("x");
  CHECK(ask("ListRevisions", revisions).error().type == "invalid-page-token");

  DeleteLabel remove;
  remove.set_label_id("a");
  REQUIRE(ask("Delete", remove));
  CHECK(get("a").error().code == Code::not_found);
  CHECK(ask("Delete", remove).error().code == Code::not_found);
  const auto gone = ask_for<LabelPage>("ListRevisions", [] {
    ListLabelRevisions all;
    all.set_label_id("a");
    return all;
  }());
  REQUIRE(gone);
  CHECK(gone->labels(0).removed());
  CHECK(gone->labels(0).revision() == 4);
  CHECK(gone->labels(0).text() == "one");
  CHECK_FALSE(gone->labels(1).removed());
}

TEST_CASE_FIXTURE(Fixture, "what is input only is kept when it is left out, and never shown") {
  const auto put_lock = [&](const std::string& colour, const std::string& code, const std::string& if_match) {
    PutLabel request;
    request.set_label_id("a");
    request.mutable_label()->set_text("locked");
    request.set_if_match(if_match);
    auto& lock = *request.mutable_label()->mutable_lock();
    lock.set_colour(colour);
    lock.set_code(code);
    if (!code.empty()) lock.add_old_codes("old-code");
    request.mutable_label()->add_others()->set_code("other-code");
    return ask_for<Label>("Put", request);
  };
  const auto stored = [&] { return *read_body<Label>(*catalog->get({"label", "acme", "a"})); };
  const auto shown = [](const Result<Label>& label) {
    REQUIRE(label);
    const auto text = label->ShortDebugString();
    return text.find("the-code") != text.npos || text.find("old-code") != text.npos ||
           text.find("other-code") != text.npos;
  };

  CHECK_FALSE(shown(put_lock("red", "the-code", "")));
  CHECK(stored().lock().code() == "the-code");
  for (const auto* if_match : {"", "*"}) {
    CAPTURE(std::string(if_match));
    CHECK_FALSE(shown(put_lock("red", "", if_match)));
    CHECK(stored().lock().code() == "the-code");
    CHECK(stored().lock().old_codes_size() == 1);
    CHECK(stored().others_size() == 1);
  }
  CHECK(put_lock("red", "", "other").error().type == "etag-mismatch");
  CHECK_FALSE(shown(put_lock("red", "", get("a")->etag())));
  CHECK(stored().lock().code() == "the-code");
  // What it is for has changed: whoever did that has to know it.
  CHECK_FALSE(shown(put_lock("blue", "", "")));
  CHECK(stored().lock().code().empty());
  CHECK_FALSE(shown(put_lock("green", "new-code", "")));
  CHECK(stored().lock().code() == "new-code");
  CHECK_FALSE(shown(get("a")));
  const auto page = ask_for<LabelPage>("List", ListLabels());
  REQUIRE(page);
  CHECK(page->labels(0).lock().code().empty());
  CHECK(page->labels(0).others(0).code().empty());
  CHECK(page->labels(0).lock().colour() == "green");

  // A message that is left out altogether is gone, and what was in it.
  REQUIRE(put("a", "open"));
  CHECK_FALSE(stored().has_lock());
  DeleteLabel remove;
  remove.set_label_id("a");
  REQUIRE(ask("Delete", remove));
  CHECK(put_lock("red", "", "*").error().code == Code::not_found);
  REQUIRE(put_lock("red", "", ""));
  CHECK(stored().lock().code().empty());
}

}  // namespace cx::test
