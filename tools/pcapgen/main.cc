#include <cstdio>
#include <memory>

#include "generator.h"
#include "options.h"

int main(int argc, char** argv) {
  using namespace tcp_sniffer::pcapgen;
  const ParsedOptions parsed = parse_options(argc, argv);
  if (!parsed.help.empty()) {
    std::fputs(parsed.help.c_str(), stdout);
    return 0;
  }
  if (!parsed.error.empty()) {
    std::fprintf(stderr, "pcapgen: %s\nTry 'pcapgen --help' for more information.\n",
                 parsed.error.c_str());
    return 2;
  }
  const auto generator = std::make_unique<Generator>(parsed.options);
  if (generator->run()) return 0;
  std::fprintf(stderr, "pcapgen: %s\n", generator->error().c_str());
  return 1;
}
