#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/run_program.h"

// The metrics as a Prometheus server sees them.
namespace tcp_sniffer::scrape {

inline sockaddr_in loopback(int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

// A port that nobody listens on.
inline int free_port() {
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof(at);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
  return ntohs(at.sin_port);
}

// A connection over which GET was sent; its descriptor is -1 when nobody answers.
inline Descriptor ask(int port, const std::string& path) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = loopback(port);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 ||
      ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return Descriptor();
  }
  return socket;
}

// The answer to GET on 127.0.0.1, head and all.
inline std::string get(int port, const std::string& path) {
  const Descriptor socket = ask(port, path);
  std::string answer;
  char buffer[16384];
  ssize_t size = 0;
  while ((size = ::recv(socket.get(), buffer, sizeof(buffer), 0)) > 0) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

inline std::string body_of(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "" : answer.substr(end + 4);
}

using Samples = std::map<std::string, double>;

// Lines `name{labels} value`, by what stands before the value.
inline Samples samples_of(const std::string& answer) {
  Samples samples;
  for (const std::string& line : lines_of(answer)) {
    if (line.empty() || line[0] == '#' || !line.starts_with("tcp_sniffer_")) continue;
    const size_t blank = line.rfind(' ');
    EXPECT_TRUE(samples.emplace(line.substr(0, blank), std::stod(line.substr(blank))).second)
        << "twice: " << line;
  }
  return samples;
}

// Of all series with this name and, if given, this text in their labels.
inline double sum(const Samples& samples, const std::string& name, std::string_view label = {}) {
  double total = 0;
  for (const auto& [key, value] : samples) {
    const bool is_named = key == name || key.starts_with(name + "{");
    if (is_named && key.find(label) != std::string::npos) total += value;
  }
  return total;
}

// Series of the metrics that metricsSeriesMax bounds.
inline size_t bounded_series(const Samples& samples) {
  size_t series = 0;
  for (const auto& [key, value] : samples) {
    const std::string name = key.substr(0, key.find('{'));
    series += name == "tcp_sniffer_http_requests_total" ||
              name == "tcp_sniffer_http_request_bytes_total" ||
              name == "tcp_sniffer_http_response_bytes_total" ||
              name.starts_with("tcp_sniffer_http_request_duration_seconds");
  }
  return series;
}

// A HELP and a TYPE line name a metric each: how many of them each has.
inline std::map<std::string, int> descriptions_of(const std::string& answer) {
  std::map<std::string, int> described;
  for (const std::string& line : lines_of(answer)) {
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
      described[line.substr(7, line.find(' ', 7) - 7)]++;
    }
  }
  return described;
}

// The metrics that the alerts and the dashboard ask for.
inline std::set<std::string> named_in_rules_and_dashboard() {
  const std::regex name("tcp_sniffer_[a-z0-9_]+");
  std::set<std::string> names;
  for (const char* file : {"grafana-dashboard.json", "prometheus-rules.yml"}) {
    const std::string text = content_of(source_dir() / "tools" / file);
    for (std::sregex_iterator at(text.begin(), text.end(), name), none; at != none; ++at) {
      names.insert(at->str());
    }
  }
  return names;
}

inline void expect_served(const Samples& samples, const std::set<std::string>& names) {
  std::set<std::string> served;
  for (const auto& [key, value] : samples) served.insert(key.substr(0, key.find('{')));
  for (const std::string& name : names) EXPECT_TRUE(served.contains(name)) << name;
}

// The program reads a capture from a pipe that stays open, so that its metrics can be read when it
// has taken all of it.
class MeteredRun {
 public:
  explicit MeteredRun(std::string_view capture, const std::vector<std::string>& more = {})
      : port_(free_port()), out_(memory_file()), err_(memory_file()) {
    std::vector<std::string> arguments = {
        "-r", "-", "--format", "ndjson", "--metrics-listen", std::to_string(port_)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Pipe pipe = make_pipe();
    child_.emplace(sniffer(arguments),
                   Child::Streams{.in = pipe.read_end.get(), .out = out_.get(), .err = err_.get()});
    pipe.read_end.reset();
    write_end_.emplace(std::move(pipe.write_end));
    write(capture);
  }

  void write(std::string_view capture) const {
    while (!capture.empty()) {
      const ssize_t size = ::write(write_end_->get(), capture.data(), capture.size());
      ASSERT_GT(size, 0) << said();
      capture.remove_prefix(static_cast<size_t>(size));
    }
  }
  int port() const { return port_; }
  const Child& child() const { return *child_; }
  std::string said() const { return content_of(err_); }
  // The page, without the answer's head, when so many requests are counted.
  std::string page_with(uint64_t requests) const {
    std::string page;
    EXPECT_TRUE(until([&] {
      page = body_of(get(port_, "/metrics"));
      return sum(samples_of(page), "tcp_sniffer_http_requests_total") >=
             static_cast<double>(requests);
    })) << page.substr(0, 2000)
        << said();
    return page;
  }
  Samples samples_with(uint64_t requests) const { return samples_of(page_with(requests)); }

  // The capture ends, and the program with it.
  Finished end() {
    write_end_.reset();
    return finish();
  }
  Finished finish() {
    Finished finished;
    finished.exit = child_->wait();
    finished.out = content_of(out_);
    finished.err = content_of(err_);
    return finished;
  }

 private:
  const int port_;
  Descriptor out_;
  Descriptor err_;
  std::optional<Descriptor> write_end_;
  std::optional<Child> child_;
};

}  // namespace tcp_sniffer::scrape
