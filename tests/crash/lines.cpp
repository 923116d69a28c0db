#include "tests/crash/lines.hpp"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>
#include <limits>
#include <sstream>
#include <unistd.h>

#include "runtime/address.hpp"
#include "runtime/entity/retention.hpp"
#include "runtime/entity/route.hpp"

namespace cx::test {
namespace {

Error misunderstood(const std::string& what) {
  return {Code::invalid_argument, "misunderstood", what + " is not understood.", ""};
}

/// A command from the text format of Protobuf; null when it is none.
MessagePtr parse(const std::string& type, const std::string& text) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName("cx.test." + type);
  if (descriptor == nullptr) return nullptr;
  const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor);
  std::shared_ptr<Message> message(prototype->New());
  if (!google::protobuf::TextFormat::ParseFromString(text, message.get())) return nullptr;
  return message;
}

std::string text_of(const v1::Snapshot& snapshot, const EntityKind& kind) {
  const auto entity = kind.make(snapshot.entity());
  if (entity->load(snapshot.schema(), snapshot.state())) return "unreadable";
  return entity->state().ShortDebugString();
}

/// Everything that the journal holds of one shard, a line each.
std::optional<Error> dump_shard(const Journal& journal, std::uint32_t shard, Output& output) {
  const auto head = journal.head(shard);
  if (!head) return head.error();
  if (head->last == 0) return std::nullopt;
  output.line(fmt::format("shard {} {} {}", shard, head->first, head->last));
  v1::JournalRecord record;
  auto error = journal.read(shard, head->first - 1, [&](std::uint64_t sequence, std::string_view bytes) {
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
    const auto type = record.command().type();
    output.line(fmt::format("record {} {} {} {} {} {} {} {}", shard, sequence, record.sequence(),
                            record.epoch(), record.entity(),
                            type.empty() ? "-" : type.substr(type.rfind('.') + 1),
                            record.letter() != 0 ? fmt::format("shard/{}", shard)
                            : record.has_id()    ? record.id().source()
                                                 : "-",
                            record.letter() != 0 ? record.letter() : record.id().sequence()));
    return true;
  });
  if (error) return error;
  error = journal.scan(Table::outbox, shard, "", [&](std::string_view, std::string_view value) {
    v1::OutboxEntry entry;
    entry.ParseFromArray(value.data(), static_cast<int>(value.size()));
    output.line(fmt::format("outbox {} {} {}", shard, entry.from(), entry.message().to()));
    return true;
  });
  if (error) return error;
  error = journal.scan(Table::dead_letters, shard, "", [&](std::string_view, std::string_view value) {
    v1::DeadLetter letter;
    letter.ParseFromArray(value.data(), static_cast<int>(value.size()));
    output.line(fmt::format("dead {} {} {}", shard, letter.from(), letter.reason()));
    return true;
  });
  if (error) return error;
  return journal.scan(Table::reminders, shard, "", [&](std::string_view key, std::string_view value) {
    v1::ReminderEntry entry;
    entry.ParseFromArray(value.data(), static_cast<int>(value.size()));
    output.line(
        fmt::format("reminder {} {} {} {}", shard, key_number(key), entry.entity(), entry.reminder().name()));
    return true;
  });
}

}  // namespace

Output::~Output() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Output::line(std::string_view text) {
  {
    const std::lock_guard lock(mutex_);
    lines_ += text;
    lines_ += '\n';
  }
  wake_.notify_one();
}

void Output::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !lines_.empty(); });
    if (lines_.empty()) return;
    const auto lines = std::exchange(lines_, {});
    lock.unlock();
    for (std::size_t at = 0; at < lines.size();) {
      const auto n = ::write(STDOUT_FILENO, lines.data() + at, lines.size() - at);
      if (n < 0) return;  // nobody reads any more
      at += static_cast<std::size_t>(n);
    }
    lock.lock();
  }
}

void Lines::handle(const std::string& line) {
  std::istringstream in(line);
  std::string verb, tag, argument;
  in >> verb >> tag;
  if (verb == "do") return command(tag, in);
  in >> argument;
  if (verb == "power") machine_.lose_power(std::stoull(argument));
  if (verb == "inspect") return inspect(tag, argument);
  if (verb == "status") return status(tag);
  if (verb == "dump") return dump(tag);
  if (verb == "cut") {
    std::uint64_t upto = 0;
    in >> upto;
    return cut(tag, static_cast<std::uint32_t>(std::stoul(argument)), upto);
  }
  if (verb == "disk") return disk(tag, argument);
  if (verb == "shard") {
    const auto target = route(entities_.kinds(), argument);
    return target ? ok(tag, std::to_string(target->shard)) : refused(tag, target.error());
  }
  refused(tag, misunderstood(line));
}

void Lines::command(const std::string& tag, std::istream& rest) {
  std::string source, address, type, text;
  std::uint64_t sequence = 0, settled = 0;
  rest >> source >> sequence >> settled >> address >> type;
  std::getline(rest, text);
  const auto message = parse(type, text);
  if (!message) return refused(tag, misunderstood(type + text));
  auto request = entities_.request(address, message);
  if (!request) return refused(tag, request.error());
  if (source != "-") request->source = source;
  request->sequence = sequence;
  request->settled = settled;
  entities_.ask(*std::move(request), [this, tag](const Answer& answer) {
    if (!answer) return refused(tag, answer.error());
    const auto& reply = *answer;
    ok(tag, reply ? reply->GetDescriptor()->name() + " " + reply->ShortDebugString() : "-");
  });
}

void Lines::inspect(const std::string& tag, const std::string& address) {
  entities_.inspect(address, [this, tag, address](const Result<v1::Snapshot>& seen) {
    if (!seen) return refused(tag, seen.error());
    const auto* kind = entities_.kinds().find(std::string_view(address).substr(0, address.find('/')));
    ok(tag, fmt::format("{} {}", seen->sequence(), text_of(*seen, *kind)));
  });
}

void Lines::status(const std::string& tag) {
  entities_.shards([this, tag](const std::vector<ShardStatus>& shards) {
    std::size_t open = 0, resident = 0, dirty = 0, uncommitted = 0, outbox = 0, checkpoints = 0;
    std::string error = "-";
    for (const auto& shard : shards) {
      open += shard.state == "open";
      resident += shard.resident;
      dirty += shard.dirty;
      uncommitted += shard.uncommitted;
      outbox += shard.outbox;
      checkpoints += shard.checkpoint > 0;
      if (!shard.error.empty()) error = shard.error;
    }
    ok(tag,
       fmt::format("closed: {} resident: {} dirty: {} uncommitted: {} outbox: {} checkpoints: {} error: {}",
                   shards.size() - open, resident, dirty, uncommitted, outbox, checkpoints, error));
  });
}

void Lines::dump(const std::string& tag) {
  entities_.reads().post([this, tag] {
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
      if (const auto error = dump_shard(journal_, shard, output_)) return refused(tag, *error);
    ok(tag, "-");
  });
}

void Lines::cut(const std::string& tag, std::uint32_t shard, std::uint64_t upto) {
  entities_.reads().post([this, tag, shard, upto] {
    const Cut all{.before = std::numeric_limits<std::int64_t>::max(), .upto = upto};
    const auto gone = truncate_shard(journal_, entities_.kinds(), shard, all);
    gone ? ok(tag, std::to_string(*gone)) : refused(tag, gone.error());
  });
}

void Lines::disk(const std::string& tag, const std::string& verb) {
  if (verb == "full")
    machine_.disk().fail(
        {.operation = FaultFiles::Operation::write, .failure = FaultFiles::Failure::no_space, .stays = true});
  else
    machine_.disk().heal();
  ok(tag, "-");
}

void Lines::ok(const std::string& tag, std::string_view text) {
  output_.line(fmt::format("{} ok {}", tag, text));
}

void Lines::refused(const std::string& tag, const Error& error) {
  output_.line(fmt::format("{} error {} {}", tag, error.type, error.detail));
}

}  // namespace cx::test
