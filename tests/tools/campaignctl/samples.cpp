// Prints, as JSON, every method of the contract with the command that reaches it, a command line that works,
// and a reply with every field set: what the scripted server of test_contract.py answers.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <google/protobuf/util/json_util.h>

#include "messages/contract.hpp"
#include "tools/campaignctl/contract/inputs.hpp"
#include "tools/campaignctl/contract/methods.hpp"
#include "tools/campaignctl/contract/reply.hpp"

using namespace cx::ctl;
namespace pb = google::protobuf;
namespace json = boost::json;

namespace {

/// Sets every field: lists have two elements, texts say which field they are of. A message within one of its
/// own kind stays empty.
void fill(pb::Message& message, std::vector<const pb::Descriptor*> within = {}) {
  const auto& type = *message.GetDescriptor();
  within.push_back(&type);
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const auto* field = type.field(i);
    const bool list = field->is_repeated();
    for (int n = 1; n <= (list && !field->is_map() ? 2 : 1); ++n) {
      const auto text = field->name() + (list ? "-" + std::to_string(n) : "");
      switch (field->cpp_type()) {
        case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
          if (within.size() > 6) break;
          auto& inner =
              list ? *reflection.AddMessage(&message, field) : *reflection.MutableMessage(&message, field);
          if (inner.GetDescriptor()->full_name() == "google.protobuf.FieldMask") break;
          const bool again = std::find(within.begin(), within.end(), inner.GetDescriptor()) != within.end();
          if (!again) fill(inner, within);
          break;
        }
        case pb::FieldDescriptor::CPPTYPE_STRING:
          list ? reflection.AddString(&message, field, text) : reflection.SetString(&message, field, text);
          break;
        case pb::FieldDescriptor::CPPTYPE_ENUM:
          list ? reflection.AddEnumValue(&message, field, n) : reflection.SetEnumValue(&message, field, 1);
          break;
        case pb::FieldDescriptor::CPPTYPE_BOOL:
          list ? reflection.AddBool(&message, field, true) : reflection.SetBool(&message, field, true);
          break;
        case pb::FieldDescriptor::CPPTYPE_INT32:
          list ? reflection.AddInt32(&message, field, n) : reflection.SetInt32(&message, field, 7);
          break;
        case pb::FieldDescriptor::CPPTYPE_UINT32:
          list ? reflection.AddUInt32(&message, field, 7) : reflection.SetUInt32(&message, field, 7);
          break;
        case pb::FieldDescriptor::CPPTYPE_INT64:
          list ? reflection.AddInt64(&message, field, 7)
               : reflection.SetInt64(&message, field, 1'500'000'000);
          break;
        case pb::FieldDescriptor::CPPTYPE_UINT64:
          list ? reflection.AddUInt64(&message, field, 7) : reflection.SetUInt64(&message, field, 7);
          break;
        case pb::FieldDescriptor::CPPTYPE_DOUBLE:
          list ? reflection.AddDouble(&message, field, 0.5) : reflection.SetDouble(&message, field, 0.5);
          break;
        case pb::FieldDescriptor::CPPTYPE_FLOAT:
          list ? reflection.AddFloat(&message, field, 0.5F) : reflection.SetFloat(&message, field, 0.5F);
          break;
      }
    }
  }
}

json::value sample_reply(const cx::Method& method) {
  const std::unique_ptr<pb::Message> reply(method.reply->New());
  fill(*reply);
  if (const auto* next = reply->GetDescriptor()->FindFieldByName("next_page_token"))
    reply->GetReflection()->ClearField(reply.get(), next);
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  if (!pb::util::MessageToJsonString(*reply, &text, options).ok()) return json::object();
  return json::parse(text);
}

}  // namespace

int main() {
  json::array all;
  cx::for_each_service([&](const pb::ServiceDescriptor& service) {
    for (int i = 0; i < service.method_count(); ++i) {
      const auto& method = method_named(service.method(i)->full_name());
      const auto path = command_for(*method.descriptor);
      const auto* command = described(path);
      json::object sample{{"method", method.name},
                          {"command", path},
                          {"verb", method.verb},
                          {"path", method.path},
                          {"by_hand", reached_by_hand().contains(method.name)},
                          {"exists", command != nullptr && command->run != nullptr}};
      if (command != nullptr && command->run) {
        sample["effect"] = static_cast<int>(command->effect);
        sample["examples"] = json::value_from(command->examples);
        sample["arguments"] = command->arguments.size();
      }
      if (!reached_by_hand().contains(method.name)) sample["reply"] = sample_reply(method);
      if (const auto* items = list_field(*method.descriptor->output_type())) sample["list"] = items->name();
      all.push_back(std::move(sample));
    }
  });
  std::puts(json::serialize(all).c_str());
}
