#include "actors/condition/field.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <charconv>

#include "actors/condition/time.hpp"

namespace cx::condition {
namespace {

constexpr std::size_t kMostBytes = 300;
constexpr std::size_t kQuotedBytes = 60;

/// A part of a name between its dots.
struct Segment {
  std::string text;
  bool quoted;
};

std::string quoted(std::string_view text) {
  return '"' + std::string(text.substr(0, kQuotedBytes)) + (text.size() > kQuotedBytes ? "...\"" : "\"");
}

/// What is wrong with a name; empty when it has been taken apart.
std::string split(std::string_view name, std::vector<Segment>& out) {
  if (name.empty()) return "A field has no name: write for instance traits.plan or event.properties.total.";
  if (name.size() > kMostBytes) return "A field's name has more than 300 bytes.";
  if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }))
    return "A field's name has control characters in it.";
  const auto whole = quoted(name);
  while (true) {
    auto& segment = out.emplace_back(Segment{{}, !name.empty() && name.front() == '"'});
    std::size_t i = 0;
    if (segment.quoted) {
      for (i = 1; i < name.size() && name[i] != '"'; ++i) {
        if (name[i] == '\\' && i + 1 < name.size()) ++i;
        segment.text += name[i];
      }
      if (i == name.size()) return "The field " + whole + " has a quotation mark that is not closed.";
      ++i;
    } else {
      for (; i < name.size() && name[i] != '.'; ++i) {
        if (name[i] == '"')
          return "The field " + whole +
                 " has a quotation mark within a name: quote the whole name between dots.";
        segment.text += name[i];
      }
    }
    if (segment.text.empty()) return "The field " + whole + " has an empty name between its dots.";
    if (i == name.size()) return {};
    if (name[i] != '.') return "The field " + whole + " has something after a quoted name that is no dot.";
    name.remove_prefix(i + 1);
  }
}

std::optional<std::size_t> index_of(const Segment& segment) {
  std::size_t index = 0;
  const char* end = segment.text.data() + segment.text.size();
  const auto [at, error] = std::from_chars(segment.text.data(), end, index);
  const bool plain = segment.text == "0" || segment.text.front() != '0';
  if (segment.quoted || error != std::errc() || at != end || !plain) return std::nullopt;
  return index;
}

std::string allowed_words(Roots allowed) {
  std::string out;
  const auto add = [&out](bool may, std::string_view words) {
    if (may) out.append(out.empty() ? "" : ", ").append(words);
  };
  add(allowed.person, "traits.NAME, events.NAME.count");
  add(allowed.event, "event.name, event.properties.NAME");
  add(allowed.memory, "memory.NAME");
  add(allowed.key, "key");
  return out;
}

const boost::json::value* member(const boost::json::object& object, const std::string& name) {
  return object.if_contains({name.data(), name.size()});
}

const boost::json::value* walk(const boost::json::value* at, const std::vector<Field::Path::Segment>& path,
                               std::size_t from) {
  for (std::size_t i = from; i < path.size() && at != nullptr; ++i) {
    if (const auto* object = at->if_object())
      at = member(*object, path[i].name);
    else if (const auto* list = at->if_array())
      at = path[i].index ? list->if_contains(*path[i].index) : nullptr;
    else
      at = nullptr;
  }
  return at;
}

View read_object(const boost::json::object* object, const std::vector<Field::Path::Segment>& path) {
  if (object == nullptr) return {};
  const auto* value = walk(member(*object, path.front().name), path, 1);
  return value == nullptr ? View{} : view_of(*value);
}

/// By name, of a list that ascends by it; null where there is none.
template <class List>
auto* find(const List& list, const std::string& name) {
  const auto at = std::lower_bound(list.begin(), list.end(), name,
                                   [](const auto& entry, const std::string& n) { return entry.name() < n; });
  return at != list.end() && at->name() == name ? &*at : nullptr;
}

View read_trait(const v1::Person& person, const Field::Path& path, Scratch& scratch) {
  const auto* trait = find(person.traits(), path.of);
  if (trait == nullptr) return {};
  const auto view = view_of_json(trait->json(), scratch);
  if (path.rest.empty()) return view;
  if (view.type != View::Type::compound) return {};
  const auto* value = walk(view.compound, path.rest, 0);
  return value == nullptr ? View{} : view_of(*value);
}

View read_count(const v1::Person& person, const Field::Path& path, Scratch& scratch) {
  const auto* count = find(person.events(), path.of);
  View view;
  if (path.root == Field::Path::Root::count) {
    view.type = View::Type::number;
    view.number = Number::of(count == nullptr ? std::uint64_t{0} : std::uint64_t{count->count()});
  } else if (count != nullptr) {
    scratch.text = time_text(path.root == Field::Path::Root::first ? count->first() : count->last());
    view = view_of(scratch.text);
  }
  return view;
}

}  // namespace

View Field::Path::read(const Subject& subject, Scratch& scratch) const {
  switch (root) {
    case Root::trait:
      return subject.person == nullptr ? View{} : read_trait(*subject.person, *this, scratch);
    case Root::count:
    case Root::first:
    case Root::last:
      return subject.person == nullptr ? View{} : read_count(*subject.person, *this, scratch);
    case Root::event:
      return read_object(subject.event, rest);
    case Root::memory:
      return read_object(subject.memory, rest);
    case Root::key:
      break;
  }
  return subject.key.empty() ? View{} : view_of(subject.key);
}

Field::Field(std::shared_ptr<const Path> path) : path_(std::move(path)) {}

Result<Field> Field::parse(std::string_view name, Roots allowed, const std::string& pointer) {
  const auto wrong = [&](std::string detail) {
    return Error{Code::invalid_argument, "invalid-field", std::move(detail), pointer};
  };
  std::vector<Segment> segments;
  if (auto problem = split(name, segments); !problem.empty()) return wrong(std::move(problem));

  Path path;
  path.name = name;
  const auto first = segments.front();
  const auto root = first.quoted ? std::string() : first.text;
  const auto n = segments.size();
  std::size_t skip = 1;
  bool may = false;
  if (root == "traits") {
    may = allowed.person;
    path.root = Path::Root::trait;
    if (n < 2) return wrong("The field traits names no trait: write traits.NAME.");
    path.of = segments[1].text;
    skip = 2;
  } else if (root == "events") {
    may = allowed.person;
    const auto what = n == 3 ? segments[2].text : std::string();
    if (what != "count" && what != "first" && what != "last")
      return wrong("The field " + quoted(name) +
                   " does not say what it wants of the event: write events.NAME.count, events.NAME.first or "
                   "events.NAME.last, with a NAME that has a dot in it in quotation marks.");
    path.root = what == "count" ? Path::Root::count : what == "first" ? Path::Root::first : Path::Root::last;
    path.of = segments[1].text;
    skip = n;
  } else if (root == "event") {
    may = allowed.event;
    path.root = Path::Root::event;
    const auto part = n < 2 ? std::string() : segments[1].text;
    const bool scalar = (part == "name" || part == "timestamp") && n == 2;
    const bool below = (part == "properties" || part == "context") && n > 2;
    if (!scalar && !below)
      return wrong("The field " + quoted(name) +
                   " is none of an event: write event.name, event.timestamp, event.properties.NAME or "
                   "event.context.NAME.");
  } else if (root == "memory") {
    may = allowed.memory;
    path.root = Path::Root::memory;
    if (n < 2) return wrong("The field memory does not say what of it: write memory.NAME.");
  } else if (root == "key") {
    may = allowed.key;
    if (n > 1) return wrong("The field key has nothing below it, and " + quoted(name) + " asks for that.");
  } else {
    return wrong("There is no field " + quoted(name) + ". Here it may be: " + allowed_words(allowed) + ".");
  }
  if (!may)
    return wrong("The field " + quoted(name) + " is not known here. It may be: " + allowed_words(allowed) +
                 ".");
  for (auto i = skip; i < n; ++i) path.rest.push_back({segments[i].text, index_of(segments[i])});
  return Field(std::make_shared<const Path>(std::move(path)));
}

std::optional<boost::json::value> Field::of(const Subject& subject) const {
  Scratch scratch;
  const auto view = path_->read(subject, scratch);
  if (!view) return std::nullopt;
  return value_of(view);
}

std::optional<std::string> Field::text_of(const Subject& subject) const {
  Scratch scratch;
  std::string out;
  if (!append_text(out, path_->read(subject, scratch))) return std::nullopt;
  return out;
}

const std::string& Field::name() const {
  return path_->name;
}

}  // namespace cx::condition
