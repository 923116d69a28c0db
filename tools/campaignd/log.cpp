#include "tools/campaignd/log.hpp"

#include <memory>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "runtime/json.hpp"

namespace cx {
namespace {

class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& line, const std::tm&, spdlog::memory_buf_t& out) override {
    std::string text;
    append_json(text, {line.payload.data(), line.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

}  // namespace

void set_up_log(const v1::LogConfig& config) {
  auto logger =
      std::make_shared<spdlog::logger>("campaignd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<JsonMessage>('*');
  formatter->set_pattern(config.format() == "json"
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})"
                             : "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v");
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(config.level()));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace cx
