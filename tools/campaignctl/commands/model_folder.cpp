#include "tools/campaignctl/commands/model_folder.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <memory>
#include <sys/file.h>
#include <unistd.h>

#include "providers/inference/colanet/bid_schema.hpp"
#include "tools/campaignctl/document.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/report.hpp"

namespace cx::ctl {
namespace fs = std::filesystem;
namespace json = boost::json;
using inference::colanet::Model;

namespace {

constexpr std::size_t kMaxHistory = 8 << 20;

Failure cannot(const std::string& what, int error) {
  return {Exit::server_failed, "cannot-write", fmt::format("cannot {}: {}", what, error_text(error)), ""};
}

Failure refused(const Error& error) {
  return {error.code == Code::not_found ? Exit::not_found : Exit::rejected, error.type, error.detail, ""};
}

/// What `current` leads to; empty where there is none.
std::string current_of(const fs::path& folder) {
  std::error_code none;
  return fs::read_symlink(folder / "current", none).string();
}

/// The history; one that is to be changed is locked against others as long as it lives.
class History {
 public:
  static Outcome<History> open(const fs::path& folder, bool to_change) {
    const auto path = (folder / "history").string();
    const int how = to_change ? O_RDWR | O_CREAT | O_APPEND : O_RDONLY;
    History out(::open(path.c_str(), how | O_CLOEXEC, 0644));
    if (!*out.file_) return cannot("open " + path, errno);
    if (to_change && flock(out.file_->fd(), LOCK_EX | LOCK_NB) != 0)
      return Failure{Exit::conflict, "busy",
                     fmt::format("another command changes {} at the moment: try again", folder.string()), ""};
    auto text = read_all(out.file_->fd(), path, kMaxHistory);
    if (!text) return text.error();
    if (const auto read = out.read(*text, path); !read) return read.error();
    return out;
  }

  /// Files that were published and not taken back, the one in use last.
  const std::vector<std::string>& stack() const { return stack_; }
  const std::vector<PublishedModel>& models() const { return models_; }

  Outcome<void> add(const std::string& action, const std::string& file, const std::string& name) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    const auto line =
        to_json(json::object{{"at", now}, {"action", action}, {"model", file}, {"name", name}}, false);
    // Behind a line that was cut short, this one begins anew.
    const auto text = (broken_ ? "\n" : "") + line + "\n";
    if (!write_all(file_->fd(), text) || fsync(file_->fd()) != 0) return cannot("write the history", errno);
    return {};
  }

 private:
  explicit History(int fd) : file_(std::make_unique<File>(fd)) {}

  Outcome<void> read(std::string_view text, const std::string& path) {
    broken_ = !text.empty() && text.back() != '\n';
    for (std::size_t number = 1; !text.empty(); ++number) {
      const auto end = text.find('\n');
      const auto line = text.substr(0, end);
      text.remove_prefix(end == text.npos ? text.size() : end + 1);
      if (end == text.npos || line.empty()) continue;
      boost::system::error_code error;
      const auto parsed = json::parse(json::string_view(line.data(), line.size()), error);
      const auto* entry = error ? nullptr : parsed.if_object();
      const auto word = [&](const char* name) {
        const auto* value = entry == nullptr ? nullptr : entry->if_contains(name);
        return value != nullptr && value->is_string() ? std::string(value->get_string().c_str())
                                                      : std::string();
      };
      const auto action = word("action"), file = word("model");
      if ((action != "publish" && action != "rollback") || file.empty() || file.find('/') != file.npos)
        return Failure{Exit::rejected, "malformed-history",
                       fmt::format("{}:{} is no entry of a history: take the line away, if you know how it "
                                   "came about",
                                   path, number),
                       ""};
      if (action == "publish") {
        if (stack_.empty() || stack_.back() != file) stack_.push_back(file);
        const auto* at = entry->if_contains("at");
        std::erase_if(models_, [&](const auto& model) { return model.file == file; });
        models_.insert(
            models_.begin(),
            {file, word("name"), at != nullptr && at->is_int64() ? at->get_int64() : 0, false, false});
      } else if (const auto known = std::find(stack_.rbegin(), stack_.rend(), file); known != stack_.rend()) {
        stack_.erase(known.base(), stack_.end());
      }
    }
    return {};
  }

  std::unique_ptr<File> file_;
  std::vector<std::string> stack_;
  std::vector<PublishedModel> models_;
  bool broken_ = false;
};

Outcome<void> sync(const fs::path& path, int flags) {
  const File file(::open(path.c_str(), flags | O_CLOEXEC));
  if (!file || fsync(file.fd()) != 0) return cannot("write " + path.string(), errno);
  return {};
}

/// Has `current` lead to another file, from one moment to the next.
Outcome<void> point(const fs::path& folder, const std::string& file) {
  const auto link = folder / fmt::format(".current.{}", getpid());
  std::error_code error;
  fs::remove(link, error);
  fs::create_symlink(file, link, error);
  if (!error) fs::rename(link, folder / "current", error);
  if (error) return cannot(fmt::format("change the link {}/current", folder.string()), error.value());
  return sync(folder, O_RDONLY | O_DIRECTORY);
}

/// Copies, syncs, and reads back what was written.
Outcome<void> copy(const std::string& from, const fs::path& to, std::uint64_t hash) {
  const fs::path temporary = fmt::format("{}.{}", to.string(), getpid());
  std::error_code error;
  fs::copy_file(from, temporary, fs::copy_options::overwrite_existing, error);
  if (error) return cannot(fmt::format("copy {} to {}", from, temporary.string()), error.value());
  auto done = sync(temporary, O_RDWR);
  if (done) {
    const auto copied = Model::open(temporary);
    if (!copied)
      done = refused(copied.error());
    else if (copied->hash() != hash)
      done = Failure{Exit::conflict, "model-changed",
                     fmt::format("{} was changed while it was copied: try again", from), ""};
  }
  if (done) {
    fs::rename(temporary, to, error);
    if (error) done = cannot("write " + to.string(), error.value());
  }
  if (!done) fs::remove(temporary, error);
  return done;
}

/// Nodes refuse what does not score bids; better now than then.
Outcome<void> check_for_bids(const Model& model, const std::string& file) {
  const auto problem = inference::colanet::problem_of_bids(model);
  if (!problem) return {};
  return Failure{Exit::rejected, "invalid-model", fmt::format("nodes would refuse {}: {}", file, *problem),
                 ""};
}

}  // namespace

Outcome<ModelChange> publish_model(const std::string& file, const std::string& folder) {
  const auto model = Model::open(file);
  if (!model) return refused(model.error());
  if (const auto fit = check_for_bids(*model, file); !fit) return fit.error();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return cannot("make the folder " + folder, error.value());
  auto history = History::open(folder, true);
  if (!history) return history.error();

  const auto name = fmt::format("{:016x}", model->hash()).substr(0, 8) + ".model";
  ModelChange change{current_of(folder), name, model->label()};
  const auto path = fs::path(folder) / name;
  const auto there = fs::exists(path, error) ? Model::open(path) : Result<Model>(Error{});
  if (there && there->hash() != model->hash())
    return Failure{Exit::conflict, "model-exists",
                   fmt::format("{} is another model whose hash begins like that of {}", path.string(), file),
                   ""};
  if (!there)  // a file that has rotted is replaced
    if (const auto copied = copy(file, path, model->hash()); !copied) return copied.error();
  const auto& stack = history->stack();
  if (change.before == name && !stack.empty() && stack.back() == name) return change;
  if (const auto pointed = point(folder, name); !pointed) return pointed.error();
  if (const auto added = history->add("publish", name, model->name()); !added) return added.error();
  return change;
}

Outcome<ModelChange> roll_model_back(const std::string& folder) {
  std::error_code none;
  if (!fs::is_directory(folder, none))
    return Failure{Exit::not_found, "no-models", fmt::format("there is no folder {}", folder), ""};
  auto history = History::open(folder, true);
  if (!history) return history.error();
  const auto before = current_of(folder);
  const auto& stack = history->stack();
  // A model that was put in use without its entry came after all that have one.
  auto last = std::find(stack.rbegin(), stack.rend(), before);
  last = last == stack.rend() ? stack.rbegin() : last + 1;
  if (last == stack.rend())
    return Failure{Exit::conflict, "no-earlier-model",
                   fmt::format("nothing was in use in {} before {}: publish another model instead", folder,
                               before.empty() ? "now" : before),
                   ""};
  const auto path = fs::path(folder) / *last;
  const auto model = Model::open(path);
  if (!model) return refused(model.error());
  if (const auto fit = check_for_bids(*model, path); !fit) return fit.error();
  if (const auto pointed = point(folder, *last); !pointed) return pointed.error();
  ModelChange change{before, *last, model->label()};
  if (const auto added = history->add("rollback", change.after, model->name()); !added) return added.error();
  return change;
}

Outcome<std::vector<PublishedModel>> published_models(const std::string& folder) {
  std::error_code none;
  if (!fs::exists(fs::path(folder) / "history", none))
    return Failure{Exit::not_found, "no-models", fmt::format("nothing was published to {} yet", folder), ""};
  const auto history = History::open(folder, true);
  if (!history) return history.error();
  auto models = history->models();
  const auto current = current_of(folder);
  const auto& stack = history->stack();
  const auto last = std::find(stack.rbegin(), stack.rend(), current);
  const auto earlier = last == stack.rend() ? stack.end() : last.base() - 1;
  for (auto& model : models) {
    model.current = model.file == current;
    model.earlier = !model.current && std::find(stack.begin(), earlier, model.file) != earlier;
  }
  return models;
}

}  // namespace cx::ctl
