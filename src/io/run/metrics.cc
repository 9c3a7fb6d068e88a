#include "io/run/metrics.h"

#include <netdb.h>
#include <netinet/in.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "io/base/version.h"
#include "io/run/metric_family.h"
#include "io/run/request_metrics.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {

namespace {

using metric_family::add;
using metric_family::add_histogram;
using metric_family::family;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

bool is_gauge(const CounterInfo& info) {
  return info.meaning.ends_with("(g)");
}

// Bytes of the ledger's groups read better as `..._bytes_duplicate` than as `bytes_bytes`.
std::string metric_name(const CounterInfo& info) {
  std::string label(info.label);
  if (label == "parseError") label = "parse_error";
  return "tcp_sniffer_" + std::string(info.group) + "_" + label + (is_gauge(info) ? "" : "_total");
}

MetricFamily family_of(const CounterInfo& info) {
  std::string_view help = info.meaning;
  if (is_gauge(info)) help.remove_suffix(std::string_view(" (g)").size());
  return family(metric_name(info), std::string(help),
                is_gauge(info) ? MetricType::Gauge : MetricType::Counter);
}

// Address and port of ADDRESS:PORT; an IPv6 address without its brackets.
std::pair<std::string, std::string> parts_of(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return {host, listen.substr(colon + 1)};
}

Problem cannot_serve(const std::string& listen, const std::string& words) {
  return {ErrorCode::kInvalidConfig, "metricsListen: nothing can be served on " + listen + ": ",
          words};
}

// Takes the address as the web server does, and gives it back. The errno; 0: it can be had.
int error_of_binding(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  const int error = bind(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  close(fd);
  return error;
}

// Connects, and is gone.
void knock(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* to = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &to) != 0) return;
  const int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    // Refused: the server does not listen any more, which is as good.
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) errno = 0;
    close(fd);
  }
  freeaddrinfo(to);
}

// Ends the answers that are under way: without that the web server waits two seconds for a client
// that does not read.
void hang_up(int port) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    const int fd = std::atoi(entry.path().filename().c_str());
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    // At the same place in both.
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    const bool is_ours = (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
                         ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port) == port;
    size = sizeof(address);
    if (is_ours && getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
      shutdown(fd, SHUT_RDWR);
    }
  }
}

ClientMetric::Label label(const char* name, size_t index) {
  return {name, std::to_string(index)};
}

}  // namespace

class MetricsServer::Collector final : public prometheus::Collectable {
 public:
  explicit Collector(MetricsSources sources) : sources_(std::move(sources)) {}

  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> families;
    MetricFamily build =
        family("tcp_sniffer_build_info", "the program that runs; always 1", MetricType::Gauge);
    add(build, {{"version", std::string(version())}, {"revision", std::string(git_revision())}}, 1);
    families.push_back(std::move(build));
    collect_frames(families);
    collect_kernel(families);
    collect_follow(families);
    collect_shards(families);
    collect_http(sources_, families);
    collect_output(families);
    return families;
  }

 private:
  void collect_frames(std::vector<MetricFamily>& families) const {
    for (size_t i = 0; i < FrameCounters::kSize; i++) {
      MetricFamily counter = family_of(kFrameCounters[i]);
      for (size_t c = 0; c < sources_.captures.size(); c++) {
        const uint64_t value =
            sources_.captures[c].counters->published(static_cast<FrameCounter>(i));
        add(counter, {label("capture", c)}, static_cast<double>(value));
      }
      families.push_back(std::move(counter));
    }
    MetricFamily queue =
        family("tcp_sniffer_shard_queue_blocks",
               "packet blocks on their way from a capture thread to a shard", MetricType::Gauge);
    for (size_t c = 0; c < sources_.captures.size(); c++) {
      const auto& lanes = sources_.captures[c].lanes;
      for (size_t s = 0; s < lanes.size(); s++) {
        add(queue, {label("capture", c), label("shard", s)},
            static_cast<double>(lanes[s]->in_flight()));
      }
    }
    families.push_back(std::move(queue));
  }

  void collect_kernel(std::vector<MetricFamily>& families) const {
    MetricFamily received = family("tcp_sniffer_kernel_received_total",
                                   "frames that passed the kernel's filter, dropped ones included",
                                   MetricType::Counter);
    MetricFamily dropped =
        family("tcp_sniffer_kernel_dropped_total",
               "frames the kernel's capture buffer had no room for", MetricType::Counter);
    MetricFamily interface_dropped =
        family("tcp_sniffer_kernel_interface_dropped_total",
               "frames the interface or its driver dropped", MetricType::Counter);
    MetricFamily up =
        family("tcp_sniffer_interface_up", "whether the interface is up", MetricType::Gauge);
    MetricFamily downs =
        family("tcp_sniffer_interface_downs_total",
               "how often one of several interfaces was seen to go down", MetricType::Counter);
    for (size_t c = 0; c < sources_.captures.size(); c++) {
      const LiveSource* live = sources_.captures[c].live;
      if (live == nullptr) return;
      const LiveStatistics figures = live->statistics();
      std::vector<ClientMetric::Label> labels = {label("capture", c)};
      if (sources_.captures[c].one_of_several) labels.push_back({"interface", live->interface()});
      add(received, labels, static_cast<double>(figures.received));
      add(dropped, labels, static_cast<double>(figures.kernel_dropped));
      add(interface_dropped, labels, static_cast<double>(figures.interface_dropped));
      add(up, labels, live->interface_is_up() ? 1 : 0);
      if (sources_.captures[c].one_of_several)
        add(downs, labels, static_cast<double>(live->downs()));
    }
    if (!downs.metric.empty()) families.push_back(std::move(downs));
    for (MetricFamily* each : {&received, &dropped, &interface_dropped, &up}) {
      families.push_back(std::move(*each));
    }
  }

  void collect_follow(std::vector<MetricFamily>& families) const {
    for (const FollowCounterInfo& info : kFollowCounters) {
      const std::string name = "tcp_sniffer_follow_" + std::string(info.label);
      MetricFamily counter = family(info.is_gauge ? name : name + "_total",
                                    "captures that are followed: " + std::string(info.meaning),
                                    info.is_gauge ? MetricType::Gauge : MetricType::Counter);
      for (const MetricsSources::Capture& capture : sources_.captures) {
        if (capture.follow == nullptr) return;
        const auto& value = capture.follow->*info.counter;
        add(counter, {}, static_cast<double>(value.load(std::memory_order_relaxed)));
      }
      families.push_back(std::move(counter));
    }
  }

  void collect_shards(std::vector<MetricFamily>& families) const {
    for (size_t i = 0; i < ShardCounters::kSize; i++) {
      MetricFamily counter = family_of(kShardCounters[i]);
      for (size_t s = 0; s < sources_.shards.size(); s++) {
        const uint64_t value = sources_.shards[s].counters->published(static_cast<ShardCounter>(i));
        add(counter, {label("shard", s)}, static_cast<double>(value));
      }
      families.push_back(std::move(counter));
    }
    MetricFamily latency =
        family("tcp_sniffer_latency_seconds", "from a request's last byte to its response's first",
               MetricType::Histogram);
    for (size_t s = 0; s < sources_.shards.size(); s++) {
      add_histogram(latency, {label("shard", s)}, *sources_.shards[s].latencies);
    }
    families.push_back(std::move(latency));
  }

  void collect_output(std::vector<MetricFamily>& families) const {
    const auto one = [&](const char* name, const char* help, MetricType type, uint64_t value) {
      MetricFamily single = family(name, help, type);
      add(single, {}, static_cast<double>(value));
      families.push_back(std::move(single));
    };
    const OutputThread& writer = *sources_.writer;
    one("tcp_sniffer_output_messages_total", "messages the output has taken", MetricType::Counter,
        writer.written());
    one("tcp_sniffer_output_written_bytes_total", "bytes the output has taken", MetricType::Counter,
        writer.bytes());
    one("tcp_sniffer_output_dropped_total", "messages dropped because the disk was full",
        MetricType::Counter, writer.dropped());
    one("tcp_sniffer_output_discarded_total", "messages that were not read before the end",
        MetricType::Counter, writer.discarded());
    one("tcp_sniffer_output_queue_blocks", "line blocks that wait for the writer",
        MetricType::Gauge, sources_.lines->size_approx());
    if (sources_.kafka != nullptr) {
      const KafkaWriter::Counts kafka = sources_.kafka->counts();
      one("tcp_sniffer_kafka_queued", "messages that wait for the brokers", MetricType::Gauge,
          kafka.queued);
      one("tcp_sniffer_kafka_acknowledged_total", "messages that the brokers have acknowledged",
          MetricType::Counter, kafka.acknowledged);
      one("tcp_sniffer_kafka_failed_total", "messages that the brokers have rejected",
          MetricType::Counter, kafka.failed);
      one("tcp_sniffer_kafka_retried_total", "lines that were sent again", MetricType::Counter,
          kafka.retried);
      one("tcp_sniffer_kafka_errors_total", "errors of connections and of the cluster",
          MetricType::Counter, kafka.errors);
    }
    MetricFamily delay = family("tcp_sniffer_delay_seconds",
                                "from the arrival of a message's last packet to its line in the "
                                "output; files: since the packet's time",
                                MetricType::Histogram);
    add_histogram(delay, {}, writer.delays());
    families.push_back(std::move(delay));
  }

  const MetricsSources sources_;
};

struct MetricsServer::Parts {
  std::string host;
  int port = 0;
  std::shared_ptr<Collector> collector;
  std::unique_ptr<prometheus::Exposer> exposer;
};

MetricsServer::MetricsServer() = default;

// The web server checks whether to end only at a new connection, or every two seconds: so this
// connects to it until it has ended.
MetricsServer::~MetricsServer() {
  if (!parts_) return;
  std::atomic<bool> ended{false};
  std::thread ending;
  try {
    ending = start_thread("metrics end", [&] {
      parts_->exposer.reset();
      ended.store(true, std::memory_order_release);
    });
  } catch (const std::exception&) {
    return;  // it takes the two seconds
  }
  const auto patient_until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kAnswerPatienceMs);
  while (!ended.load(std::memory_order_acquire)) {
    if (std::chrono::steady_clock::now() >= patient_until) hang_up(parts_->port);
    knock(parts_->host, parts_->port);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ending.join();
}

std::optional<Problem> MetricsServer::problem_of(const std::string& listen) {
  const auto [host, port] = parts_of(listen);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int unknown = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (unknown != 0) return cannot_serve(listen, gai_strerror(unknown));
  const int error = error_of_binding(*found);
  freeaddrinfo(found);
  if (error == 0) return {};
  return cannot_serve(listen, std::strerror(error));
}

std::optional<Problem> MetricsServer::start(const std::string& listen, MetricsSources sources) {
  auto parts = std::make_unique<Parts>();
  parts->collector = std::make_shared<Collector>(std::move(sources));
  try {
    const std::vector<std::string> options = {
        "listening_ports",    listen,
        "num_threads",        std::to_string(kThreads),
        "request_timeout_ms", std::to_string(kRequestTimeoutMs)};
    parts->exposer = std::make_unique<prometheus::Exposer>(options);
    parts->exposer->RegisterCollectable(parts->collector);
  } catch (const std::exception& exception) {
    // The web server does not report the system's error. It was not the address, so it was a
    // thread.
    if (auto problem = problem_of(listen)) return problem;
    throw std::runtime_error(cannot_serve(listen, exception.what()).message());
  }
  const std::vector<int> ports = parts->exposer->GetListeningPorts();
  parts->port = ports.empty() ? 0 : ports.front();
  parts->host = parts_of(listen).first;
  parts_ = std::move(parts);
  return {};
}

int MetricsServer::port() const {
  return parts_ ? parts_->port : 0;
}

}  // namespace tcp_sniffer
