#include "providers/channels/http.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <curl/curl.h>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <unordered_set>

#include "runtime/net/request.hpp"

namespace cx::channels {
namespace {

constexpr long kConnectMs = 5000;
constexpr std::size_t kMostField = 200;
constexpr std::size_t kSpareHandles = 256;

using Clock = std::chrono::steady_clock;
using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

struct Transfer {
  HttpRequest request;
  HttpClient::Done done;
  HttpReply reply;
  net::Guard guard;
  Curl curl{nullptr, curl_easy_cleanup};
  net::HeaderLines header;
  bool complete = false;  // the answer's header has come
};

std::size_t take_body(char* bytes, std::size_t, std::size_t n, void* to) {
  auto& body = static_cast<Transfer*>(to)->reply.body;
  const auto room = HttpReply::kMostBody - body.size();
  body.append(bytes, std::min(n, room));
  return n > room ? 0 : n;  // 0 ends the transfer
}

/// The value of a field, if `line` is of the field `name` ("retry-after:").
std::optional<std::string> value_of(std::string_view line, std::string_view name) {
  if (line.size() < name.size()) return std::nullopt;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = line[i] >= 'A' && line[i] <= 'Z' ? static_cast<char>(line[i] - 'A' + 'a') : line[i];
    if (c != name[i]) return std::nullopt;
  }
  line.remove_prefix(name.size());
  constexpr std::string_view kSpace = " \t\r\n";
  const auto begin = line.find_first_not_of(kSpace);
  if (begin == line.npos) return "";
  return std::string(line.substr(begin, line.find_last_not_of(kSpace) + 1 - begin).substr(0, kMostField));
}

std::size_t take_header(char* bytes, std::size_t, std::size_t n, void* to) {
  auto& transfer = *static_cast<Transfer*>(to);
  const std::string_view line(bytes, n);
  if (line == "\r\n" || line == "\n") {
    long status = 0;
    curl_easy_getinfo(transfer.curl.get(), CURLINFO_RESPONSE_CODE, &status);
    transfer.complete = status >= 200;  // 1xx only announce another
  } else if (auto after = value_of(line, "retry-after:")) {
    transfer.reply.retry_after = std::move(*after);
  } else if (auto id = value_of(line, "x-message-id:")) {
    transfer.reply.message_id = std::move(*id);
  }
  return n;
}

void answer(Transfer& transfer, bool sent, std::string error) {
  transfer.reply.sent = sent;
  transfer.reply.error = std::move(error);
  transfer.done(std::move(transfer.reply));
}

}  // namespace

/// libcurl's multi interface over epoll: what a turn costs depends on what happened, not on how much waits.
class HttpClient::Loop {
 public:
  explicit Loop(Options options) : options_(std::move(options)) {
    static const auto ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    multi_ = curl_multi_init();
    if (ready != CURLE_OK || epoll_ < 0 || wake_ < 0 || multi_ == nullptr)
      throw std::runtime_error("libcurl or epoll does not start");
    epoll_event event{.events = EPOLLIN, .data = {.fd = wake_}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections));
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    thread_ = std::thread([this] { run(); });
  }
  ~Loop() {
    stop();
    spare_.clear();
    curl_multi_cleanup(multi_);
    ::close(epoll_);
    ::close(wake_);
  }

  void post(std::unique_ptr<Transfer> transfer) {
    {
      const std::lock_guard lock(mutex_);
      if (!stopping_) {
        arrived_.push_back(std::move(transfer));
        if (arrived_.size() > 1) return;  // woken already
      }
    }
    if (transfer) return answer(*transfer, false, "the node is stopping");
    wake();
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    const std::lock_guard lock(joining_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof(one)) < 0) return;  // full: it is awake
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void* known) {
    auto& loop = *static_cast<Loop*>(self);
    if (what == CURL_POLL_REMOVE) {
      ::epoll_ctl(loop.epoll_, EPOLL_CTL_DEL, socket, nullptr);
      return 0;
    }
    epoll_event event{.events = 0, .data = {.fd = socket}};
    if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
    ::epoll_ctl(loop.epoll_, known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
    if (known == nullptr) curl_multi_assign(loop.multi_, socket, self);  // anything but null
    return 0;
  }

  static int on_timer(CURLM*, long ms, void* self) {
    static_cast<Loop*>(self)->due_ =
        ms < 0 ? std::nullopt : std::optional(Clock::now() + std::chrono::milliseconds(ms));
    return 0;
  }

  void run() {
    // OpenSSL writes to connections that the other side has closed.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    std::array<epoll_event, 256> events;
    while (take_arrived()) {
      const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), patience());
      int running = 0;
      for (int i = 0; i < n; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == wake_) {
          std::uint64_t count = 0;
          if (::read(wake_, &count, sizeof(count)) < 0) continue;
        } else {
          const int what = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                           ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                           ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
          curl_multi_socket_action(multi_, event.data.fd, what, &running);
        }
      }
      if (due_ && *due_ <= Clock::now()) {
        due_.reset();
        curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
      }
      finish_some();
    }
    for (auto* transfer : under_way_) {
      curl_multi_remove_handle(multi_, transfer->curl.get());
      answer(*transfer, true, "the node is stopping");
      delete transfer;
    }
    under_way_.clear();
  }

  /// Milliseconds, rounded up, that epoll may wait; -1 for ever.
  int patience() const {
    if (!due_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due_ - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }

  /// Starts what has come; false to stop.
  bool take_arrived() {
    std::vector<std::unique_ptr<Transfer>> arrived;
    bool go_on = true;
    {
      const std::lock_guard lock(mutex_);
      arrived.swap(arrived_);
      go_on = !stopping_;
    }
    for (auto& transfer : arrived) {
      if (go_on)
        begin(std::move(transfer));
      else
        answer(*transfer, false, "the node is stopping");
    }
    return go_on;
  }

  void begin(std::unique_ptr<Transfer> transfer) {
    const auto host = net::host_of(transfer->request.url);
    if (auto error = net::check_url(transfer->request.url, options_.allowed); error || !host)
      return answer(*transfer, false, "its URL may not be called");
    if (!spare_.empty()) {
      transfer->curl = std::move(spare_.back());
      spare_.pop_back();
    } else {
      transfer->curl.reset(curl_easy_init());
    }
    if (!transfer->curl || !prepare(*transfer, options_.allowed.has_name(host->name, host->port)))
      return answer(*transfer, false, "the request cannot be made");
    if (curl_multi_add_handle(multi_, transfer->curl.get()) != CURLM_OK)
      return answer(*transfer, false, "libcurl refuses the request");
    under_way_.insert(transfer.release());
  }

  bool prepare(Transfer& t, bool by_name) {
    const auto& request = t.request;
    for (const auto& line : request.headers)
      if (!t.header.add(line)) return false;
    t.header.add("Expect:");  // no 100-continue
    t.guard = {&options_.allowed, by_name};
    const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(t.curl.get(), option, value); };
    set(CURLOPT_PRIVATE, &t);
    // HTTP/1.1, one message a connection at a time: what breaks one says nothing of another.
    net::set_common(t.curl.get(), request.url, t.header, request.timeout, options_.ca_file);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    const auto ms = std::max<long>(1, static_cast<long>(request.timeout.count()));
    set(CURLOPT_CONNECTTIMEOUT_MS, std::min(kConnectMs, ms));
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.data());
    set(CURLOPT_WRITEFUNCTION, take_body);
    set(CURLOPT_WRITEDATA, &t);
    set(CURLOPT_HEADERFUNCTION, take_header);
    set(CURLOPT_HEADERDATA, &t);
    net::set_guard(t.curl.get(), &t.guard);
    return true;
  }

  void finish_some() {
    int left = 0;
    while (const auto* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      void* data = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
      finish(static_cast<Transfer*>(data), message->data.result);
    }
  }

  void finish(Transfer* done, CURLcode code) {
    const std::unique_ptr<Transfer> transfer(done);
    under_way_.erase(done);
    auto& t = *transfer;
    curl_multi_remove_handle(multi_, t.curl.get());
    // An answer whose body was cut short, by us or on its way, is one all the same: its status says it all.
    if (code == CURLE_OK || t.complete) {
      curl_easy_getinfo(t.curl.get(), CURLINFO_RESPONSE_CODE, &t.reply.status);
      answer(t, true, "");
    } else {
      curl_off_t before_sending = 0;  // microseconds; 0 when it never came so far
      curl_easy_getinfo(t.curl.get(), CURLINFO_PRETRANSFER_TIME_T, &before_sending);
      answer(t, before_sending > 0, curl_easy_strerror(code));
    }
    if (spare_.size() >= kSpareHandles) return;
    curl_easy_reset(t.curl.get());
    spare_.push_back(std::move(t.curl));
  }

  const Options options_;
  int epoll_ = -1, wake_ = -1;
  CURLM* multi_ = nullptr;
  std::mutex mutex_;  // guards the next two
  std::vector<std::unique_ptr<Transfer>> arrived_;
  bool stopping_ = false;
  // Of the thread.
  std::optional<Clock::time_point> due_;
  std::unordered_set<Transfer*> under_way_;  // owned
  std::vector<Curl> spare_;
  std::mutex joining_;
  std::thread thread_;
};

HttpClient::HttpClient(Options options) : loop_(std::make_unique<Loop>(std::move(options))) {}
HttpClient::~HttpClient() = default;

void HttpClient::post(HttpRequest request, Done done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  loop_->post(std::move(transfer));
}

void HttpClient::stop() {
  loop_->stop();
}

}  // namespace cx::channels
