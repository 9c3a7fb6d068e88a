#include "io/base/kafka_target.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>

#include "core/base/characters.h"
#include "io/base/kafka_library.h"
#include "io/base/printable.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kScheme = "kafka://";
constexpr std::string_view kDefaultPort = "9092";

// What the output decides by other keys or needs as it is: with another value messages would be
// counted wrongly, memory would have no bound, or code would be loaded into a program that may
// capture.
struct Reserved {
  std::string_view name;
  std::string_view reason;
};
constexpr Reserved kReserved[] = {
    {"bootstrap.servers", "the brokers stand in output"},
    {"metadata.broker.list", "the brokers stand in output"},
    {"queue.buffering.max.messages", "memoryLimit decides it"},
    {"queue.buffering.max.kbytes", "memoryLimit decides it"},
    {"delivery.report.only.error", "every message is counted"},
    {"statistics.interval.ms", "the counters depend on it"},
    {"log.queue", "what librdkafka reports becomes events"},
    {"transactional.id", "messages are not written in transactions"},
    {"plugin.library.paths", "no code is loaded"},
    {"ssl.engine.location", "no code is loaded"},
};

constexpr std::string_view kSecrets[] = {
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "ssl_key",
    "ssl_keystore",
};

bool is_topic_character(char c) {
  return is_digit(c) || is_letter(c) || c == '.' || c == '_' || c == '-';
}

std::string fault_of_topic(std::string_view topic) {
  if (topic.empty()) return "has no topic";
  if (topic.size() > kTopicSizeMax || topic == "." || topic == ".." ||
      !std::all_of(topic.begin(), topic.end(), is_topic_character)) {
    return "has no valid topic: up to 249 of the characters A-Z, a-z, 0-9, ., _ and -";
  }
  return {};
}

// HOST or HOST:PORT; an IPv6 address stands in brackets. Appends HOST:PORT.
bool append_broker(std::string_view broker, std::string& brokers) {
  const size_t bracket = broker.starts_with('[') ? broker.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const size_t colon = broker.find(':', bracket);
  const std::string_view host = broker.substr(0, colon);
  const std::string_view port =
      colon == std::string_view::npos ? kDefaultPort : broker.substr(colon + 1);
  const bool bad_host =
      host.empty() || (bracket > 0 && (bracket < 2 || bracket + 1 != host.size())) ||
      host.find_first_of(" @?#%\\\"'\t") != std::string_view::npos ||
      std::any_of(host.begin(), host.end(), [](char c) { return c <= ' ' || c == '\x7f'; });
  uint32_t number = 0;
  const char* const end = port.data() + port.size();
  const auto [stop, error] = std::from_chars(port.data(), end, number);
  if (bad_host || error != std::errc() || stop != end || number < 1 || number > 65535) return false;
  if (!brokers.empty()) brokers += ',';
  brokers.append(host).append(":").append(port);
  return true;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

constexpr std::string_view kUnknown = "is no property of librdkafka";

// Empty: librdkafka takes it. Loads librdkafka.
std::string fault_of_value(const KafkaProperty& property) {
  const KafkaLibrary* const kafka = kafka_library();
  if (kafka == nullptr) return "cannot be checked: " + fault_of_kafka_library();
  const std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> conf(
      kafka->rd_kafka_conf_new(), kafka->rd_kafka_conf_destroy);
  char words[512] = "";
  switch (kafka->rd_kafka_conf_set(conf.get(), property.name.c_str(), property.value.c_str(), words,
                                   sizeof(words))) {
    case RD_KAFKA_CONF_OK:
      return {};
    case RD_KAFKA_CONF_UNKNOWN:
      return std::string(kUnknown);
    case RD_KAFKA_CONF_INVALID:
      break;
  }
  return property.from_file ? "has a value that librdkafka does not take"
                            : "has a value that librdkafka does not take: " + printable(words);
}

}  // namespace

bool is_kafka(std::string_view output) {
  return output.starts_with(kScheme);
}

std::string fault_of_kafka() {
  return fault_of_kafka_library();
}

std::string kafka_library_version() {
  const KafkaLibrary* const kafka = kafka_library();
  return kafka == nullptr ? "" : kafka->rd_kafka_version_str();
}

std::string read_kafka_target(std::string_view output, KafkaTarget& target) {
  output.remove_prefix(kScheme.size());
  const size_t slash = output.find('/');
  std::string_view brokers = output.substr(0, slash);
  const std::string_view topic =
      slash == std::string_view::npos ? std::string_view{} : output.substr(slash + 1);
  KafkaTarget read;
  for (;;) {
    const size_t comma = brokers.find(',');
    if (!append_broker(brokers.substr(0, comma), read.brokers)) {
      return "has no valid list of brokers";
    }
    if (comma == std::string_view::npos) break;
    brokers.remove_prefix(comma + 1);
  }
  if (std::string fault = fault_of_topic(topic); !fault.empty()) return fault;
  read.topic = topic;
  target = std::move(read);
  return {};
}

std::string read_kafka_property(std::string_view text, bool from_file, KafkaProperty& property) {
  const size_t equals = text.find('=');
  const std::string_view name = trimmed(text.substr(0, equals));
  // What stands there instead may be a secret.
  if (equals == std::string_view::npos || name.empty()) return "is not NAME=VALUE";
  KafkaProperty read{std::string(name), std::string(trimmed(text.substr(equals + 1))), from_file};
  const std::string shown = quote_text(read.name);
  const auto* const reserved =
      std::find_if(std::begin(kReserved), std::end(kReserved),
                   [&](const Reserved& each) { return each.name == name; });
  if (reserved != std::end(kReserved)) {
    return shown + " cannot be set: " + std::string(reserved->reason);
  }
  const bool is_secret =
      std::find(std::begin(kSecrets), std::end(kSecrets), name) != std::end(kSecrets);
  if (is_secret && !from_file)
    return shown + " is a secret, which may stand in kafkaPropertiesFile alone";
  const std::string fault = fault_of_value(read);
  // An unknown name in the file may be a part of a secret, too.
  if (!fault.empty()) return fault == kUnknown && from_file ? fault : shown + " " + fault;
  property = std::move(read);
  return {};
}

std::string read_kafka_properties(std::string_view lines, std::vector<KafkaProperty>& properties) {
  for (size_t number = 1; !lines.empty(); number++) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = trimmed(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.empty() || line.front() == '#') continue;
    KafkaProperty property;
    const std::string fault = read_kafka_property(line, true, property);
    if (!fault.empty()) return "line " + std::to_string(number) + ": " + fault;
    properties.push_back(std::move(property));
  }
  return {};
}

std::string without_secrets(std::string text, const std::vector<KafkaProperty>& properties) {
  // Shorter ones are words such as true, and no secrets.
  constexpr size_t kSecretSizeMin = 4;
  constexpr std::string_view kHidden = "[hidden]";
  for (const KafkaProperty& property : properties) {
    if (!property.from_file || property.value.size() < kSecretSizeMin) continue;
    for (size_t at = text.find(property.value); at != std::string::npos;
         at = text.find(property.value, at + kHidden.size())) {
      text.replace(at, property.value.size(), kHidden);
    }
  }
  return text;
}

}  // namespace tcp_sniffer
