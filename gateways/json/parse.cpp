#include <simdjson.h>
#include <unordered_set>

#include "gateways/json/any.hpp"
#include "gateways/json/codec.hpp"
#include "gateways/json/plan.hpp"
#include "gateways/json/store.hpp"
#include "gateways/json/text.hpp"

namespace cx::json {
namespace {

using google::protobuf::FieldDescriptor;
namespace ondemand = simdjson::ondemand;

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kType = "@type";

Error failure(std::string type, const Where& at, std::string detail) {
  return {Code::invalid_argument, std::move(type), std::move(detail), at.pointer()};
}

std::string place(const Where& at) {
  return at.holder == nullptr ? "The document" : at.pointer();
}

Error malformed(simdjson::error_code code, const Where& at) {
  if (code == simdjson::MEMALLOC)
    return {Code::overloaded, "out-of-memory",
            "There was no memory left for the document; send it again later.", ""};
  const auto say = [&](const char* what) {
    const auto where = at.holder == nullptr ? "" : " (at or behind " + at.pointer() + ")";
    return failure("malformed-json", at, "The document is not JSON: " + std::string(what) + where + ".");
  };
  switch (code) {
    case simdjson::CAPACITY:
      return failure("malformed-json", at, "The document is too large to be read; send a smaller one.");
    case simdjson::UTF8_ERROR:
      return say("it is not valid UTF-8; encode it as UTF-8");
    case simdjson::UNCLOSED_STRING:
      return say("it ends inside a string; was it truncated?");
    case simdjson::UNESCAPED_CHARS:
      return say("a string holds a raw control character; escape it, like \\n or \\u0001");
    case simdjson::STRING_ERROR:
      return say("a string holds an invalid escape sequence");
    case simdjson::NUMBER_ERROR:
      return say("a number is malformed; write it like 0, -1.5 or 1e3");
    default:
      return say("a bracket, comma, colon, quote or value is missing or misplaced");
  }
}

/// Reads one document, depth first. Functions that return bool return false after setting the error.
///
/// On-Demand checks only what is read, so everything is read: what is ignored goes through skip(). A string
/// is unescaped once at most, as the parser's buffer has room for that.
class Reader {
 public:
  explicit Reader(std::vector<std::string>* present) : present_(present) {}

  std::optional<Error> read(ondemand::document& document, Message& into) {
    const Where root;
    ondemand::array only;  // the document stands in brackets, see parse()
    if (const auto code = document.get_array().get(only)) return malformed(code, root);
    bool first = true;
    for (auto element : only) {
      ondemand::value value;
      if (const auto code = element.get(value)) return malformed(code, root);
      if (!first) return trailing();
      first = false;
      if (!read_message(value, into, plan_of(*into.GetDescriptor()), root, 0, false))
        return std::move(error_);
    }
    if (first || document.current_location().error() != simdjson::OUT_OF_BOUNDS) return trailing();
    return std::nullopt;
  }

 private:
  static Error trailing() {
    return failure("malformed-json", {},
                   "The document is not one JSON value: more follows it; send one and nothing else.");
  }

  bool fail(Error error) {
    error_ = std::move(error);
    return false;
  }
  bool fail(simdjson::error_code code, const Where& at) { return fail(malformed(code, at)); }
  bool fail(Wrong wrong, const Where& at) {
    return fail(failure(std::move(wrong.type), at, place(at) + ' ' + wrong.words));
  }
  bool fail_type(const Where& at, const std::string& wanted, std::string_view found) {
    return fail({"wrong-type", "must be " + wanted + ", but is " + std::string(found) + "."}, at);
  }

  bool enter(int depth, const Where& at) {
    if (depth <= kMaxDepth) return true;
    return fail(failure("too-deep", at,
                        "The document nests objects and lists more than " + std::to_string(kMaxDepth) +
                            " deep; flatten it."));
  }

  bool type_of(ondemand::value& value, const Where& at, ondemand::json_type& type) {
    const auto code = value.type().get(type);
    return code ? fail(code, at) : true;
  }

  static std::string_view name_of(ondemand::json_type type) {
    switch (type) {
      case ondemand::json_type::array:
        return "a list";
      case ondemand::json_type::object:
        return "an object";
      case ondemand::json_type::null:
        return "null";
      case ondemand::json_type::number:
        return json::name_of(Scalar::Kind::number);
      case ondemand::json_type::boolean:
        return json::name_of(Scalar::Kind::boolean);
      default:
        return json::name_of(Scalar::Kind::string);
    }
  }

  bool read_string(ondemand::value& value, const Where& at, std::string_view& out) {
    if (const auto code = value.get_string().get(out)) return fail(code, at);
    return check_utf8(out, at);
  }

  // simdjson makes ill-formed UTF-8 of the escape of a lone surrogate.
  bool check_utf8(std::string_view text, const Where& at) {
    return simdjson::validate_utf8(text.data(), text.size()) || fail(simdjson::STRING_ERROR, at);
  }

  /// A string, number or boolean.
  bool read_scalar(ondemand::value& value, ondemand::json_type type, const Where& at, Scalar& out) {
    switch (type) {
      case ondemand::json_type::string:
        out.kind = Scalar::Kind::string;
        return read_string(value, at, out.text);
      case ondemand::json_type::number: {
        out.kind = Scalar::Kind::number;
        out.text = value.raw_json_token();
        out.text = out.text.substr(0, out.text.find_last_not_of(kSpace) + 1);
        return is_number(out.text) || fail(simdjson::NUMBER_ERROR, at);
      }
      default: {
        out.kind = Scalar::Kind::boolean;
        bool truth = false;
        if (const auto code = value.get_bool().get(truth)) return fail(code, at);
        out.text = truth ? "true" : "false";
        return true;
      }
    }
  }

  bool read_null(ondemand::value& value, const Where& at, bool& null) {
    const auto code = value.is_null().get(null);
    return code ? fail(code, at) : true;
  }

  static bool takes_null(const FieldPlan& field) {
    return (field.message != nullptr && field.message->shape == Shape::value) ||
           (field.enumeration != nullptr &&
            field.enumeration->descriptor->full_name() == "google.protobuf.NullValue");
  }

  /// Calls `each(key, value, where)` with what an object holds, in order.
  template <class Each>
  bool for_members(ondemand::object& object, const Where& at, Each each) {
    for (auto member : object) {
      ondemand::field field;
      if (const auto code = std::move(member).get(field)) return fail(code, at);
      std::string_view key;
      if (const auto code = field.unescaped_key().get(key)) return fail(code, at);
      const Where inside{&at, key, 0};
      if (!check_utf8(key, at)) return false;
      if (!each(key, field.value(), inside)) return false;
    }
    return true;
  }

  bool open(ondemand::value& value, const Plan& type, const Where& at, int depth, ondemand::object& object) {
    ondemand::json_type found{};
    if (!type_of(value, at, found)) return false;
    if (found != ondemand::json_type::object) {
      bool null = false;
      if (found == ondemand::json_type::null && !read_null(value, at, null)) return false;
      return fail_type(at, expected(type), name_of(found));
    }
    if (!enter(depth, at)) return false;
    const auto code = value.get_object().get(object);
    return code ? fail(code, at) : true;
  }

  /// `depth` is that of an object or list that the value may be. `masked`: the value is not for others to
  /// see.
  bool read_message(ondemand::value& value, Message& into, const Plan& type, const Where& at, int depth,
                    bool masked) {
    switch (type.shape) {
      case Shape::object: {
        ondemand::object object;
        return open(value, type, at, depth + 1, object) &&
               read_object(object, into, type, at, depth + 1, false);
      }
      case Shape::any:
        return read_any(value, into, type, at, depth + 1);
      case Shape::structure: {
        ondemand::object object;
        return open(value, type, at, depth + 1, object) &&
               read_map(object, into, type.fields[0], at, depth + 1);
      }
      case Shape::value:
        return read_value(value, into, type, at, depth);
      case Shape::list_value:
        return read_list(value, into, type.fields[0], at, depth + 1);
      case Shape::wrapper:
        return read_single(value, into, type.fields[0], at, depth);
      default:
        break;
    }
    ondemand::json_type found{};
    if (!type_of(value, at, found)) return false;
    if (found != ondemand::json_type::string)
      return skip(value, at, depth) && fail_type(at, expected(type), name_of(found));
    Scalar scalar;
    if (!read_scalar(value, found, at, scalar)) return false;
    auto wrong = store_text(into, type, scalar, masked);
    return wrong ? fail(std::move(*wrong), at) : true;
  }

  bool read_object(ondemand::object& object, Message& into, const Plan& type, const Where& at, int depth,
                   bool packed) {
    std::vector<bool> seen(type.fields.size());
    bool seen_type = false;
    return for_members(object, at, [&](std::string_view key, ondemand::value value, const Where& inside) {
      if (packed && key == kType) {
        if (seen_type) return duplicate(inside);
        return seen_type = true;  // read before
      }
      const FieldPlan* field = type.find(key);
      if (field == nullptr) return unknown(type, key, inside);
      const auto index = static_cast<std::size_t>(field->descriptor->index());
      if (seen[index]) return duplicate(inside);
      seen[index] = true;
      if (field->output_only) return skip(value, inside, depth);
      return read_field(value, into, *field, inside, depth);
    });
  }

  bool duplicate(const Where& at) {
    return fail(failure("duplicate-field", at, at.pointer() + " is there twice; send it once."));
  }

  bool unknown(const Plan& type, std::string_view key, const Where& at) {
    return fail(failure("unknown-field", at,
                        at.pointer() + " is unknown: " + type.descriptor->name() + " has no such field; " +
                            type.suggest(key)));
  }

  bool read_field(ondemand::value& value, Message& into, const FieldPlan& field, const Where& at, int depth) {
    const std::string* const name = present_ == nullptr ? nullptr : &field.descriptor->name();
    const auto length = path_.size();
    if (name != nullptr) path_ += (length == 0 ? "" : ".") + *name;
    const bool read = read_present_field(value, into, field, at, depth);
    path_.resize(length);
    return read;
  }

  bool read_present_field(ondemand::value& value, Message& into, const FieldPlan& field, const Where& at,
                          int depth) {
    ondemand::json_type found{};
    if (!type_of(value, at, found)) return false;
    if (found == ondemand::json_type::null && (field.map || field.list || !takes_null(field))) {
      mention();
      bool null = false;
      return read_null(value, at, null);
    }
    if (!check_oneof(into, field, at)) return false;
    if (field.list) return mention(), read_list(value, into, field, at, depth + 1);
    if (field.map) {
      mention();
      ondemand::object object;
      return open(value, *field.message, at, depth + 1, object) &&
             read_map(object, into, field, at, depth + 1);
    }
    if (present_ == nullptr || field.message == nullptr || field.message->shape != Shape::object)
      return mention(), read_single(value, into, field, at, depth);
    if (found == ondemand::json_type::object) {
      ondemand::object object;
      auto& inner = *into.GetReflection()->MutableMessage(&into, field.descriptor);
      if (!open(value, *field.message, at, depth + 1, object)) return false;
      bool empty = false;
      if (const auto code = object.is_empty().get(empty)) return fail(code, at);
      if (empty) mention();
      return read_object(object, inner, *field.message, at, depth + 1, false);
    }
    return read_single(value, into, field, at, depth);
  }

  void mention() {
    if (present_ != nullptr && leaf_depth_ == 0) present_->push_back(path_);
  }

  bool check_oneof(const Message& into, const FieldPlan& field, const Where& at) {
    const auto* oneof = field.descriptor->real_containing_oneof();
    if (oneof == nullptr) return true;
    const auto* set = into.GetReflection()->GetOneofFieldDescriptor(into, oneof);
    if (set == nullptr) return true;
    return fail(
        failure("oneof-conflict", at,
                at.pointer() + " and " + set->name() + " exclude each other; send only one of them."));
  }

  /// The value of a singular field, or one more of a repeated one; not null, unless the field takes that.
  bool read_single(ondemand::value& value, Message& into, const FieldPlan& field, const Where& at,
                   int depth) {
    ++leaf_depth_;
    const bool read = read_leaf(value, into, field, at, depth);
    --leaf_depth_;
    return read;
  }

  bool read_leaf(ondemand::value& value, Message& into, const FieldPlan& field, const Where& at, int depth) {
    if (field.message != nullptr) {
      const auto* reflection = into.GetReflection();
      auto& inner = field.descriptor->is_repeated() ? *reflection->AddMessage(&into, field.descriptor)
                                                    : *reflection->MutableMessage(&into, field.descriptor);
      return read_message(value, inner, *field.message, at, depth, field.masked());
    }
    ondemand::json_type found{};
    if (!type_of(value, at, found)) return false;
    if (found == ondemand::json_type::null) {
      bool null = false;
      if (!read_null(value, at, null)) return false;
      if (takes_null(field)) return put({Scalar::Kind::number, "0"}, into, field, at);
    }
    if (found == ondemand::json_type::null || found == ondemand::json_type::object ||
        found == ondemand::json_type::array)
      return fail(wrong_type(field, name_of(found)), at);
    Scalar scalar;
    return read_scalar(value, found, at, scalar) && put(scalar, into, field, at);
  }

  bool put(const Scalar& scalar, Message& into, const FieldPlan& field, const Where& at) {
    auto wrong = store(into, field, scalar);
    return wrong ? fail(std::move(*wrong), at) : true;
  }

  bool read_list(ondemand::value& value, Message& into, const FieldPlan& field, const Where& at, int depth) {
    ondemand::json_type found{};
    if (!type_of(value, at, found)) return false;
    if (found != ondemand::json_type::array) return fail_type(at, "a list", name_of(found));
    if (!enter(depth, at)) return false;
    ondemand::array list;
    if (const auto code = value.get_array().get(list)) return fail(code, at);
    ++leaf_depth_;
    std::size_t index = 0;
    for (auto element : list) {
      ondemand::value item;
      const Where inside{&at, {}, index};
      if (const auto code = element.get(item)) return fail(code, inside);
      if (!check_room(field, index, at)) return false;
      if (!read_single(item, into, field, inside, depth)) return false;
      ++index;
    }
    --leaf_depth_;
    return true;
  }

  // Refused here already, so that nobody fills the memory with what will be refused anyway.
  bool check_room(const FieldPlan& field, std::size_t have, const Where& at) {
    if (field.max_items == 0 || have < field.max_items) return true;
    return fail(
        failure("too-many-items", at,
                at.pointer() + " has more than " + std::to_string(field.max_items) + " items; send fewer."));
  }

  bool read_map(ondemand::object& object, Message& into, const FieldPlan& field, const Where& at, int depth) {
    const auto* reflection = into.GetReflection();
    const FieldPlan& key_field = field.message->fields[0];
    std::unordered_set<std::string_view> seen;
    ++leaf_depth_;
    const bool read =
        for_members(object, at, [&](std::string_view key, ondemand::value value, const Where& inside) {
          if (!check_room(field, seen.size(), at)) return false;
          if (!seen.insert(key).second) return duplicate(inside);
          auto& entry = *reflection->AddMessage(&into, field.descriptor);
          // A number has one spelling as a key, so that two keys that look different are different.
          const auto key_type = key_field.descriptor->type();
          if (key_type != FieldDescriptor::TYPE_STRING && key_type != FieldDescriptor::TYPE_BOOL &&
              (key.find_first_of(".eE") != key.npos || key == "-0"))
            return fail({"invalid-value", "has a key that must be a whole number in plain digits."}, inside);
          if (auto wrong = store(entry, key_field, {Scalar::Kind::parameter, key})) {
            wrong->words = "has a key that " + wrong->words;
            return fail(std::move(*wrong), inside);
          }
          return read_single(value, entry, field.message->fields[1], inside, depth);
        });
    --leaf_depth_;
    return read;
  }

  bool read_value(ondemand::value& value, Message& into, const Plan& type, const Where& at, int depth) {
    enum Member { null, number, string, boolean, structure, list };
    ondemand::json_type found{};
    if (!type_of(value, at, found)) return false;
    const auto read = [&](Member member) { return read_single(value, into, type.fields[member], at, depth); };
    switch (found) {
      case ondemand::json_type::null:
        return read(null);
      case ondemand::json_type::number:
        return read(number);
      case ondemand::json_type::string:
        return read(string);
      case ondemand::json_type::boolean:
        return read(boolean);
      case ondemand::json_type::object:
        return read(structure);
      case ondemand::json_type::array:
        return read(list);
    }
    return fail(simdjson::TAPE_ERROR, at);
  }

  bool read_any(ondemand::value& value, Message& into, const Plan& type, const Where& at, int depth) {
    ondemand::object object;
    if (!open(value, type, at, depth, object)) return false;
    std::string url;
    bool empty = true;
    if (!find_type(object, at, url, empty)) return false;
    bool reset = false;
    if (const auto code = object.reset().get(reset)) return fail(code, at);
    if (url.empty() && empty) return true;
    const Where at_type{&at, kType, 0};
    if (url.empty())
      return fail(failure("unknown-type", at_type,
                          at.pointer() + " has no \"@type\"; name the type of what it holds, like "
                                         "\"type.googleapis.com/package.Message\"."));
    const auto message = make_any(url);
    if (message == nullptr)
      return fail(failure("unknown-type", at_type,
                          at_type.pointer() + " is " + quote(url) +
                              ", which is no type here; write it like "
                              "\"type.googleapis.com/package.Message\"."));
    const Plan& packed = plan_of(*message->GetDescriptor());
    const bool read = packed.shape == Shape::object ? read_object(object, *message, packed, at, depth, true)
                                                    : read_packed(object, *message, packed, at, depth);
    if (!read) return false;
    pack(into, std::move(url), *message);
    return true;
  }

  /// The first member that is spelt "@type"; does not check the others.
  bool find_type(ondemand::object& object, const Where& at, std::string& url, bool& empty) {
    for (auto member : object) {
      ondemand::field field;
      if (const auto code = std::move(member).get(field)) return fail(code, at);
      empty = false;
      if (!url.empty() || !field.key().unsafe_is_equal(kType)) continue;
      const Where inside{&at, kType, 0};
      ondemand::value value = field.value();
      ondemand::json_type found{};
      if (!type_of(value, inside, found)) return false;
      if (found != ondemand::json_type::string) return fail_type(inside, "a string", name_of(found));
      std::string_view text;
      if (!read_string(value, inside, text)) return false;
      url = text;
    }
    return true;
  }

  /// Types that are no objects in JSON stand in the member "value".
  bool read_packed(ondemand::object& object, Message& into, const Plan& type, const Where& at, int depth) {
    bool seen_type = false, seen = false;
    const bool read =
        for_members(object, at, [&](std::string_view key, ondemand::value value, const Where& inside) {
          bool& before = key == kType ? seen_type : seen;
          if (key != kType && key != "value")
            return fail(failure("unknown-field", inside,
                                inside.pointer() + " is unknown: what is a " + type.descriptor->name() +
                                    " stands in \"value\", beside \"@type\"."));
          if (before) return duplicate(inside);
          before = true;
          return key == kType || read_message(value, into, type, inside, depth, false);
        });
    if (!read) return false;
    if (seen) return true;
    return fail({"wrong-type", "has no \"value\", which must be " + expected(type) + "."}, at);
  }

  /// Checks a value that nobody reads.
  bool skip(ondemand::value value, const Where& at, int depth) {
    ondemand::json_type found{};
    if (!type_of(value, at, found)) return false;
    switch (found) {
      case ondemand::json_type::object: {
        ondemand::object object;
        if (!enter(depth + 1, at)) return false;
        if (const auto code = value.get_object().get(object)) return fail(code, at);
        return for_members(object, at, [&](std::string_view, ondemand::value member, const Where& inside) {
          return skip(member, inside, depth + 1);
        });
      }
      case ondemand::json_type::array: {
        ondemand::array list;
        if (!enter(depth + 1, at)) return false;
        if (const auto code = value.get_array().get(list)) return fail(code, at);
        std::size_t index = 0;
        for (auto element : list) {
          ondemand::value item;
          const Where inside{&at, {}, index++};
          if (const auto code = element.get(item)) return fail(code, inside);
          if (!skip(item, inside, depth + 1)) return false;
        }
        return true;
      }
      case ondemand::json_type::null: {
        bool null = false;
        return read_null(value, at, null);
      }
      default: {
        Scalar unused;
        return read_scalar(value, found, at, unused);
      }
    }
  }

  std::vector<std::string>* present_;
  std::string path_;    ///< of the field being read, in names of the .proto; kept only for present_
  int leaf_depth_ = 0;  ///< above 0: inside a value that counts as one
  Error error_;
};

/// What is reused from document to document, by thread.
struct Buffers {
  ondemand::parser parser;
  std::string text;
};

}  // namespace

std::optional<Error> parse(std::string_view json, Message& into, const ParseOptions& options) {
  into.Clear();
  if (json.find_first_not_of(kSpace) == json.npos) json = "{}";
  // A large document's buffers are not kept.
  constexpr std::size_t kKept = 256 * 1024;
  thread_local Buffers kept;
  std::optional<Buffers> own;
  Buffers& buffers = json.size() <= kKept ? kept : own.emplace();
  // In brackets, whatever the document is can be read as a value: On-Demand treats a lone string or number,
  // and an object that is never closed, unlike the others.
  buffers.text.reserve(json.size() + 2 + simdjson::SIMDJSON_PADDING);
  buffers.text.assign(1, '[').append(json).append(1, ']');
  ondemand::document document;
  const simdjson::padded_string_view padded(buffers.text.data(), buffers.text.size(),
                                            buffers.text.capacity());
  if (const auto code = buffers.parser.iterate(padded).get(document)) return malformed(code, {});
  return Reader(options.present).read(document, into);
}

}  // namespace cx::json
