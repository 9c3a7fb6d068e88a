#include "io/base/pager.h"

#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace tcp_sniffer {

bool show_in_pager(const std::string& text) {
  const char* terminal = std::getenv("TERM");
  if (terminal != nullptr && std::string_view(terminal) == "dumb") return false;
  const char* chosen = std::getenv("PAGER");
  const std::string command = chosen == nullptr ? "less -R" : chosen;
  if (command.empty()) return false;
  // A text that fits on the screen is left there, and less ends at once.
  ::setenv("LESS", "FRX", 0);
  std::FILE* pager = ::popen(command.c_str(), "w");
  if (pager == nullptr) return false;
  std::signal(SIGPIPE, SIG_IGN);
  std::fputs(text.c_str(), pager);
  const int status = ::pclose(pager);
  // 126 and 127 are the shell's: it could not run the command.
  return !WIFEXITED(status) || WEXITSTATUS(status) < 126;
}

}  // namespace tcp_sniffer
