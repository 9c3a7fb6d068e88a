#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "support/ledger_check.h"
#include "support/load_client.h"
#include "support/run_program.h"

// A network of two hosts for the live tests: namespaces with a cable between them, a real server
// in one of them, a client in the other. Nothing here touches a network of the machine itself.
namespace tcp_sniffer {

// How long a test sends at full speed; the environment may ask for more than CI does.
inline double load_seconds() {
  if (const char* said = std::getenv("TCP_SNIFFER_LIVE_SECONDS")) return std::strtod(said, nullptr);
  return 1.0;
}

inline bool has_program(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

inline bool shell(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// One host: a network namespace by name.
class Host {
 public:
  explicit Host(std::string name) : name_(std::move(name)) {}
  const std::string& name() const { return name_; }

  bool ip(const std::string& arguments) const { return shell("ip -n " + name_ + " " + arguments); }
  std::vector<std::string> command(std::vector<std::string> words) const {
    words.insert(words.begin(), {"ip", "netns", "exec", name_});
    return words;
  }
  // Runs `work` on a thread that lives on this host.
  void run(const std::function<void()>& work) const {
    std::thread([&] {
      const Descriptor space(::open(("/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC));
      if (::setns(space.get(), CLONE_NEWNET) == 0) {
        work();
      } else {
        ADD_FAILURE() << "the namespace " << name_ << " cannot be entered";
      }
    }).join();
  }

 private:
  std::string name_;
};

// The sniffer on a host. Standard error is read as it comes, standard output too, unless the test
// gives a descriptor for it.
class LiveSniffer {
 public:
  struct Options {
    std::vector<std::string> prefix{};  // before the program, behind the host's own command
    int in = -1;
    int out = -1;
    std::function<void(std::string_view)> on_output{};  // each piece as it was read
  };

  LiveSniffer(const Host& host, std::vector<std::string> arguments, Options options)
      : options_(std::move(options)), out_(make_pipe()), err_(make_pipe()) {
    std::vector<std::string> words = options_.prefix;
    words.push_back(TCP_SNIFFER_BINARY);
    words.insert(words.end(), arguments.begin(), arguments.end());
    child_ = std::make_unique<Child>(
        host.command(std::move(words)),
        Child::Streams{options_.in, options_.out >= 0 ? options_.out : out_.write_end.get(),
                       err_.write_end.get()});
    out_.write_end.reset();
    err_.write_end.reset();
    err_reader_ = std::thread([this] { read_events(); });
    out_reader_ = std::thread([this] { read_output(); });
  }
  LiveSniffer(const Host& host, std::vector<std::string> arguments)
      : LiveSniffer(host, std::move(arguments), Options{}) {}
  ~LiveSniffer() {
    go_on_reading();
    child_.reset();
    join();
  }

  // Whether `count` events of that name come before the program ends.
  bool wait_for(const std::string& name, size_t count = 1) {
    const auto have_come = [&] { return events(name).size() >= count; };
    until([&] { return silent_.load() || have_come(); });
    return have_come();
  }
  std::vector<Json> events(const std::string& name) const { return events_named(said(), name); }
  // The last event of that name, or null.
  Json last(const std::string& name) const {
    const std::string text = said();
    const size_t at = text.rfind("\"event\":\"" + name + "\"");
    if (at == std::string::npos) return nullptr;
    const size_t begin = text.rfind('\n', at) + 1;
    return Json::parse(text.substr(begin, text.find('\n', at) - begin));
  }
  std::string said() const {
    const std::lock_guard lock(mutex_);
    return text_.substr(0, text_.rfind('\n') + 1);
  }

  void signal(int number) const { child_->signal(number); }
  bool has_taken(int number) const { return child_->has_taken(number); }
  pid_t pid() const { return child_->pid(); }
  Exit wait(std::chrono::milliseconds longest = std::chrono::seconds(60)) {
    const Exit exit = child_->wait(longest);
    if (exit.in_time) join();
    return exit;
  }
  Exit stop() {
    signal(SIGTERM);
    return wait();
  }
  // The ledger, after the end.
  Json stopped() const { return event_named(said(), "stopped"); }

  uint64_t lines() const { return lines_.load(); }
  bool last_line_is_whole() const { return last_byte_.load() == '\n'; }
  void stop_reading() { stalled_.store(true); }
  void go_on_reading() { stalled_.store(false); }

 private:
  void read_events() {
    char buffer[65536];
    ssize_t size = 0;
    while ((size = ::read(err_.read_end.get(), buffer, sizeof(buffer))) > 0) {
      const std::lock_guard lock(mutex_);
      text_.append(buffer, static_cast<size_t>(size));
    }
    silent_.store(true);
  }
  void read_output() {
    std::vector<char> buffer(1 << 20);
    for (;;) {
      if (stalled_.load()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      const ssize_t size = ::read(out_.read_end.get(), buffer.data(), buffer.size());
      if (size <= 0) return;
      const std::string_view piece(buffer.data(), static_cast<size_t>(size));
      if (options_.on_output) options_.on_output(piece);
      lines_.fetch_add(static_cast<uint64_t>(std::count(piece.begin(), piece.end(), '\n')));
      last_byte_.store(piece.back());
    }
  }
  void join() {
    if (out_reader_.joinable()) out_reader_.join();
    if (err_reader_.joinable()) err_reader_.join();
  }

  Options options_;
  Pipe out_;
  Pipe err_;
  std::unique_ptr<Child> child_;
  std::thread out_reader_;
  std::thread err_reader_;
  mutable std::mutex mutex_;
  std::string text_;
  std::atomic<bool> silent_{false};  // its standard error has ended
  std::atomic<uint64_t> lines_{0};
  std::atomic<char> last_byte_{'\n'};
  std::atomic<bool> stalled_{false};
};

inline bool has_drops(const Json& stopped) {
  return stopped["frames"]["dropped_overload"] != 0 ||
         stopped["messages"]["dropped_overload"] != 0 || stopped["kernel"]["dropped"] != 0;
}

inline void expect_no_drops(const Json& stopped) {
  EXPECT_EQ(stopped["frames"]["dropped_overload"], 0);
  EXPECT_EQ(stopped["messages"]["dropped_overload"], 0);
  EXPECT_EQ(stopped["messages"]["discarded"], 0);
  EXPECT_EQ(stopped["kernel"]["dropped"], 0);
  EXPECT_EQ(stopped["kernel"]["interface_dropped"], 0);
  EXPECT_EQ(stopped["bytes"]["missing"], 0);
  EXPECT_EQ(stopped["bytes"]["skipped_in_resync"], 0);
  for (const auto& [cause, count] : stopped["incomplete"].items()) EXPECT_EQ(count, 0) << cause;
}

// Two hosts, `client_` with the interface `left` and `server_` with `right`, both addresses of
// either family, and nginx on the server once a test asks for it.
class LiveLab : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "network namespaces cannot be made here (run as root)";
    }
    if (!shell("ip netns add " + client_.name()) || !shell("ip netns add " + server_.name())) {
      GTEST_SKIP() << "network namespaces cannot be made here";
    }
    if (!shell("ip link add left netns " + client_.name() + " type veth peer name right netns " +
               server_.name())) {
      GTEST_SKIP() << "a veth pair cannot be made here";
    }
    ASSERT_TRUE(client_.ip("link set lo up") && client_.ip("link set left mtu 9000 up") &&
                client_.ip("addr add 10.77.0.1/24 dev left") &&
                client_.ip("-6 addr add fd77::1/64 dev left nodad"));
    ASSERT_TRUE(server_.ip("link set lo up") && server_.ip("link set right mtu 9000 up") &&
                server_.ip("addr add 10.77.0.2/24 dev right") &&
                server_.ip("-6 addr add fd77::2/64 dev right nodad"));
    ASSERT_TRUE(client_.ip("link set left mtu 1500") && server_.ip("link set right mtu 1500"));
  }
  void TearDown() override {
    stop_server(SIGTERM);
    shell("ip netns del " + client_.name());
    shell("ip netns del " + server_.name());
  }

  // False: the test was told to skip.
  bool start_server() {
    if (!has_program("nginx")) return false;
    const std::string folder = folder_.path().string();
    write_file(folder_ / "large", std::string(100000, 'l'));
    write_file(folder_ / "nginx.conf",
               "user root; worker_processes 1; daemon off; pid " + folder + "/pid; error_log " +
                   folder + "/error.log;\nevents { worker_connections 1024; }\n" +
                   "http { log_format short '$status'; access_log " + folder +
                   "/access.log short buffer=64k; keepalive_requests 1000000000; " +
                   "keepalive_timeout 600s; server { listen 80; listen [::]:80; root " + folder +
                   "; location /small { return 200 \"hello world\\n\"; } } }\n");
    nginx_ = std::make_unique<Child>(server_.command({"nginx", "-c", folder + "/nginx.conf"}),
                                     Child::Streams{});
    if (until([&] { return server_.ip("route show table all") && listens(); })) return true;
    ADD_FAILURE() << "nginx does not listen: " << content_of(folder_ / "error.log");
    return false;
  }
  // Ends nginx; the requests in its access log.
  uint64_t requests_in_access_log() {
    stop_server(SIGQUIT);
    const std::string log = content_of(folder_ / "access.log");
    return static_cast<uint64_t>(std::count(log.begin(), log.end(), '\n'));
  }

  // Asked to end, not killed: its worker would stay behind.
  void stop_server(int signal) {
    if (!nginx_) return;
    nginx_->signal(signal);
    EXPECT_TRUE(nginx_->wait(std::chrono::seconds(20)).in_time);
    nginx_.reset();
  }

  LoadResult send(const Load& load, const Host& from) {
    LoadResult result;
    from.run([&] { result = LoadClient(load).run(); });
    return result;
  }
  LoadResult send(const Load& load) { return send(load, client_); }

  // Whether this host's TCP has nothing more to send: each connection was closed by both ends.
  static bool is_quiet(const Host& host) {
    std::string text;
    host.run([&] {
      for (const char* table : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
        text += content_of(std::filesystem::path(table));
      }
    });
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string number;
      std::string local;
      std::string remote;
      std::string state;
      words >> number >> local >> remote >> state;
      const bool is_title = number == "sl";
      if (!is_title && state != "0A" && state != "06") return false;  // LISTEN, TIME_WAIT
    }
    return true;
  }

  // How many segments this host's TCP has sent again, each of one maximum segment size at most.
  static uint64_t segments_sent_again(const Host& host) {
    std::string text;
    host.run([&] { text = content_of(std::filesystem::path("/proc/thread-self/net/snmp")); });
    // A line of names and a line of numbers.
    const size_t names_at = text.find("Tcp: ");
    const size_t numbers_at = text.find("Tcp: ", names_at + 1);
    EXPECT_NE(numbers_at, std::string::npos) << text;
    if (numbers_at == std::string::npos) return 0;
    std::istringstream names(text.substr(names_at, numbers_at - names_at));
    std::istringstream numbers(text.substr(numbers_at));
    std::string name;
    std::string number;
    while (names >> name && numbers >> number && name != "RetransSegs") continue;
    EXPECT_EQ(name, "RetransSegs");
    return std::strtoull(number.c_str(), nullptr, 10);
  }

  struct Found {
    Json stopped;
    uint64_t logged = 0;  // exchanges in the access log
  };
  // The sniffer on `where` finds every exchange of the access log, and drops nothing. It may do so
  // at the third attempt, because the machine may do something else.
  Found expect_all_found(const std::string& name, const Host& where,
                         const std::vector<std::string>& arguments, const Load& load,
                         const Host& from) {
    constexpr int kAttempts = 3;
    uint64_t logged_before = 0;
    for (int attempt = 1;; attempt++) {
      if (!start_server()) return {};
      LiveSniffer sniffer(where, arguments);
      EXPECT_TRUE(sniffer.wait_for("started")) << sniffer.said();
      const LoadResult sent = send(load, from);
      Found found;
      found.logged = requests_in_access_log() - logged_before;
      logged_before += found.logged;
      EXPECT_EQ(sent.exchanges, found.logged);
      EXPECT_EQ(sniffer.stop().code, 0);
      EXPECT_TRUE(sniffer.last_line_is_whole());
      found.stopped = sniffer.stopped();
      expect_ledger_closes(found.stopped);
      std::printf("%s: %.0f exchanges/s\n", name.c_str(),
                  static_cast<double>(sent.exchanges) / load.seconds);
      if (has_drops(found.stopped) && attempt < kAttempts) {
        EXPECT_LE(sniffer.lines(), found.logged * 2);
        continue;
      }
      EXPECT_EQ(sniffer.lines(), found.logged * 2) << sniffer.said();
      expect_no_drops(found.stopped);
      EXPECT_EQ(found.stopped["connections"]["one_sided"], 0);
      return found;
    }
  }

  // A reader stalls for so long. The kernel's buffer and the program's own pools bridge the pause.
  Json expect_nothing_lost_in_a_stall(const Host& where, std::vector<std::string> arguments,
                                      double seconds) {
    arguments.insert(arguments.end(), {"--overload", "block"});
    LiveSniffer sniffer(where, std::move(arguments));
    EXPECT_TRUE(sniffer.wait_for("started")) << sniffer.said();
    sniffer.stop_reading();
    Load load;
    load.per_second = kSanitized ? 500 : 3000;
    load.seconds = seconds;
    const LoadResult during = send(load);
    sniffer.go_on_reading();
    load.exchanges = 1000;
    load.seconds = 0;
    const LoadResult after = send(load);
    EXPECT_EQ(sniffer.stop().code, 0);
    EXPECT_EQ(sniffer.lines(), (during.exchanges + after.exchanges) * 2);
    const Json stopped = sniffer.stopped();
    expect_ledger_closes(stopped);
    expect_no_drops(stopped);
    return stopped;
  }

  void set_offloads(bool on) {
    const std::string word = on ? "on" : "off";
    const std::string features = " gro " + word + " gso " + word + " tso " + word;
    EXPECT_TRUE(shell("ip netns exec " + client_.name() + " ethtool -K left" + features));
    EXPECT_TRUE(shell("ip netns exec " + server_.name() + " ethtool -K right" + features));
  }

  bool listens() const {
    bool open = false;
    client_.run([&] {
      const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(80);
      inet_pton(AF_INET, kServer4, &to.sin_addr);
      open = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
    });
    return open;
  }

  TemporaryFolder folder_;
  Host client_{"tcpsniff-" + std::to_string(::getpid()) + "-client"};
  Host server_{"tcpsniff-" + std::to_string(::getpid()) + "-server"};
  std::unique_ptr<Child> nginx_;
};

}  // namespace tcp_sniffer
