#include "io/run/outputs.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/run/engine_settings.h"

namespace tcp_sniffer {

Outputs::Outputs(const Config& config, EventLog& log, LineQueue& lines)
    : config_(config), log_(log) {
  if (is_kafka(config.output)) {
    auto kafka = std::make_unique<KafkaWriter>(kafka_settings(config), lines);
    kafka_ = kafka.get();
    writer_ = std::move(kafka);
  } else {
    auto file = std::make_unique<OutputWriter>(writer_settings(config), lines);
    file_ = file.get();
    writer_ = std::move(file);
  }
  if (!config.extract_dir.empty()) {
    extractor_ = std::make_unique<BodyExtractor>(extract_settings(config));
  }
  if (config.debug || config.hex_dump) debug_log_ = std::make_unique<DebugLog>(config.hex_dump);
}

std::optional<Problem> Outputs::open() {
  // A FIFO was opened before the user was changed.
  auto problem = kafka_ != nullptr  ? kafka_->open()
                 : file_->is_open() ? OutputWriter::problem_of(config_.output)
                                    : file_->open();
  if (!problem && extractor_) problem = extractor_->open();
  if (!problem && debug_log_) problem = debug_log_->open(config_.debug_log);
  return problem;
}

SegmentTrace* Outputs::make_trace() {
  return debug_log_ ? debug_log_->add_section() : nullptr;
}

Outputs::OnFileError Outputs::warning(std::string_view event, std::string_view message) const {
  return [this, event, message](const std::string& file, const std::string& error) {
    EventFields fields;
    fields["file"] = file;
    fields["error"] = error;
    log_.emit(LogLevel::kWarn, event, message, fields);
  };
}

void Outputs::report_mended(const std::string& file, const FileEnd& end) const {
  EventFields fields;
  fields["file"] = file;
  if (end.cut_bytes > 0) fields["cutBytes"] = end.cut_bytes;
  log_.emit(LogLevel::kWarn, event::kOutputMended,
            end.ended_a_line ? "the output did not end with a whole line: it was given a line feed"
                             : "the output did not end with a whole message: its part was cut off",
            fields);
}

OutputWriter::Listener Outputs::file_listener(
    const std::function<void()>& on_end, const std::function<void(const char*)>& on_fault) const {
  OutputWriter::Listener listener;
  listener.on_end = on_end;
  listener.on_reopen_failed = warning(event::kOutputReopenFailed,
                                      "the output could not be opened again; the old file is kept");
  listener.on_full = warning(event::kOutputFull, "the output has no room; it is tried again");
  listener.on_room = [this](const std::string& file, uint64_t dropped) {
    EventFields fields;
    fields["file"] = file;
    fields["dropped"] = dropped;
    log_.emit(LogLevel::kWarn, event::kOutputResumed, "the output has room again", fields);
  };
  listener.on_mended = [this](const std::string& file, const FileEnd& end) {
    report_mended(file, end);
  };
  listener.on_fault = on_fault;
  return listener;
}

KafkaWriter::Listener Outputs::kafka_listener(
    const std::function<void()>& on_end, const std::function<void(const char*)>& on_fault) const {
  KafkaTarget target;
  read_kafka_target(config_.output, target);
  const auto fields_of = [topic = target.topic](const KafkaError& error) {
    EventFields fields;
    fields["topic"] = topic;
    fields["code"] = error.name;
    fields["error"] = error.words;
    return fields;
  };
  KafkaWriter::Listener listener;
  listener.on_end = on_end;
  listener.on_error = [this, fields_of](const KafkaError& error) {
    log_.emit(LogLevel::kWarn, event::kKafkaError, "Kafka has an error; it is tried again",
              fields_of(error));
  };
  listener.on_failed = [this, fields_of](const KafkaError& error, uint64_t messages) {
    EventFields fields = fields_of(error);
    fields["messages"] = messages;
    log_.emit(LogLevel::kWarn, event::kKafkaFailed, "messages were not taken by Kafka", fields);
  };
  listener.on_change = [this, topic = target.topic](const KafkaChange& change) {
    EventFields fields;
    if (change.kind == KafkaChange::Kind::kLeaderChanged) {
      fields["topic"] = topic;
      fields["partition"] = change.partition;
      if (!change.broker.empty()) fields["broker"] = change.broker;
      log_.emit(
          LogLevel::kInfo, event::kKafkaLeaderChanged,
          change.broker.empty() ? "a partition has no leader" : "a partition has another leader",
          fields);
      return;
    }
    fields["broker"] = change.broker;
    if (change.kind == KafkaChange::Kind::kBrokerUp) {
      log_.emit(LogLevel::kInfo, event::kKafkaBrokerUp, "a broker is back", fields);
    } else {
      log_.emit(LogLevel::kWarn, event::kKafkaBrokerDown,
                "the connection to a broker is lost; it is tried again", fields);
    }
  };
  listener.on_log = [this](std::string_view line) {
    EventFields fields;
    fields["line"] = line;
    log_.emit(LogLevel::kDebug, event::kKafkaLog, "librdkafka reports", fields);
  };
  listener.on_fault = on_fault;
  return listener;
}

void Outputs::start(const std::function<void()>& on_end,
                    const std::function<void(const char*)>& on_fault) {
  if (kafka_ != nullptr) {
    kafka_->start(kafka_listener(on_end, on_fault));
  } else {
    file_->start(file_listener(on_end, on_fault));
  }
  if (extractor_) {
    extractor_->start(warning(event::kExtractFailed, "a body was not written to its file"),
                      on_fault);
  }
}

void Outputs::end_of_input() {
  writer_->end_of_input();
  if (extractor_) extractor_->end_of_input();
}

void Outputs::abort() {
  writer_->abort();
  abort_bodies();
}

void Outputs::abort_bodies() {
  if (extractor_) extractor_->abort();
}

std::optional<Problem> Outputs::problem() const {
  if (writer_->end() != OutputThread::End::kFailed) return {};
  return writer_->problem();
}

void Outputs::see(std::vector<ThreadSight>& threads) const {
  if (!writer_->done()) threads.push_back({"writer", writer_->beats()});
  if (!bodies_done()) threads.push_back({"extract", extractor_->beats()});
}

void Outputs::add_to(Totals& totals) const {
  totals.written = writer_->written();
  totals.discarded = writer_->discarded();
  totals.dropped = writer_->dropped();
  totals.output_bytes = writer_->bytes();
  if (kafka_ != nullptr) totals.kafka = kafka_->counts();
  if (extractor_) totals.extracted = extractor_->counts();
}

std::vector<Outputs::Limit> Outputs::reached_limits() const {
  std::vector<Limit> limits;
  if (!extractor_) return limits;
  if (extractor_->files_max_reached()) {
    limits.push_back({"extractMaxFiles", config_.extract_max_files});
  }
  if (extractor_->bytes_max_reached()) {
    limits.push_back({"extractMaxBytes", config_.extract_max_bytes});
  }
  return limits;
}

void Outputs::report_debug_log() const {
  if (!debug_log_ || debug_log_->error() == 0) return;
  EventFields fields;
  fields["file"] = config_.debug_log;
  fields["error"] = std::strerror(debug_log_->error());
  log_.emit(LogLevel::kWarn, event::kDebugLogFailed, "debugLog is not complete", fields);
}

}  // namespace tcp_sniffer
