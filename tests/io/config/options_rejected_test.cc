#include "io/config/options.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <variant>

#include "support/command_lines.h"

namespace tcp_sniffer::options_rejected_test {
namespace {

using namespace command_lines;

struct Refused {
  Arguments arguments;
  const char* message;
};

TEST(OptionsTest, RefusalsNameTheFlagTheValueAndWhatIsAllowed) {
  const Refused table[] = {
      {{},
       "ports: none given for live capture; allowed: a list of whole numbers from 1 to 65535, none "
       "twice (-p 80,8080); -r FILE reads capture files instead, --help lists all keys"},
      {{"-i", "eth0"},
       "ports: none given for live capture; allowed: a list of whole numbers from 1 to 65535, none "
       "twice (-p 80,8080); -r FILE reads capture files instead, --help lists all keys"},
      {{"-p", "0"},
       "ports (--ports): 0 is out of range; allowed: a list of whole numbers from 1 to 65535, none "
       "twice"},
      {{"-p", "65536"},
       "ports (--ports): 65536 is out of range; allowed: a list of whole numbers from 1 to 65535, "
       "none twice"},
      {{"-p", "80,443", "-p", "80"},
       "ports (--ports): 80 is given twice; allowed: a list of whole numbers from 1 to 65535, none "
       "twice"},
      {{"-p", "-80"},
       "ports (--ports): -80 is out of range; allowed: a list of whole numbers from 1 to 65535, "
       "none twice"},
      {{"-p", "80,,81"},
       "ports (--ports): \"\" is not a whole number; allowed: a list of whole numbers from 1 to "
       "65535, none twice"},
      {{"-p", "http"},
       "ports (--ports): \"http\" is not a whole number; allowed: a list of whole numbers from 1 "
       "to 65535, none twice"},
      {{"-p", "80-90"},
       "ports (--ports): \"80-90\" is not a whole number; allowed: a list of whole numbers from 1 "
       "to 65535, none twice"},
      {{"-p", ""},
       "ports (--ports): \"\" is not a whole number; allowed: a list of whole numbers from 1 to "
       "65535, none twice"},
      {{"-p"},
       "ports (--ports): no value; allowed: a list of whole numbers from 1 to 65535, none twice"},
      {{"-i", "-p", "80"},
       "interface (--interface): \"-p\" looks like a flag where a value is expected; allowed: a "
       "name that is not empty, or a list of such names, none twice"},
      {{"-i", "eth1", "-i", "eth1", "-p", "80"},
       "interface (--interface): \"eth1\" is given twice; allowed: a name that is not empty, or a "
       "list of such names, none twice"},
      {{"-i", "eth1", "-i", "eth2", "-p", "80", "--shards", "0"},
       "shards: 0 together with 2 interfaces; each interface has a capture thread of its own, and "
       "without shards the two directions of a connection would not meet; allowed: shards 1 or "
       "more, or one interface"},
      {{"-i", "eth1", "-i", "eth2", "-p", "80", "--capture-threads", "33"},
       "captureThreads: 33 for each of 2 interfaces; allowed: at most 64 capture threads together"},
      {{"--interface=", "-p", "80"}, "--interface=: no value after the equals sign"},
      {{"-i", "lo", "-p", "80", "-w", "a.pcap"},
       "-w: no packets are written; allowed: --output FILE for the messages"},
      {{"-wa.pcap"}, "-w: no packets are written; allowed: --output FILE for the messages"},
      {{"-w"}, "-w: no packets are written; allowed: --output FILE for the messages"},
      {{"-A", "-p", "80"},
       "-A: bodies are shown by -vv; allowed: -vv, or --format ndjson for programs"},
      {{"-C", "10", "-p", "80"},
       "-C: no output is rotated by its size; allowed: --output FILE, which is opened again on "
       "SIGHUP"},
      {{"-p", "80", "-G", "10"},
       "-G: no output is rotated by time; allowed: --output FILE, which is opened again on SIGHUP"},
      {{"-V", "list"},
       "-V: no list of files is read; allowed: -r FILE..., and --version for the version"},
      {{"-p", "80", "-B", "0"},
       "-B: \"0\" is not a size in KiB; allowed: a whole number from 1 to 2096128, or "
       "--buffer-size-mib"},
      {{"-p", "80", "-B", "4M"},
       "-B: \"4M\" is not a size in KiB; allowed: a whole number from 1 to 2096128, or "
       "--buffer-size-mib"},
      {{"-p", "80", "-B", "2096129"},
       "-B: \"2096129\" is not a size in KiB; allowed: a whole number from 1 to 2096128, or "
       "--buffer-size-mib"},
      {{"-p", "80", "-B", "1024", "--buffer-size-mib", "1"},
       "-B: \"1024\" and --buffer-size-mib; allowed: one of the two"},
      {{"-i", "", "-p", "80"},
       "interface (--interface): \"\" is empty; allowed: a name that is not empty, or a list of "
       "such "
       "names, none twice"},
      {{"-p", "80", "--sample-rate", "2"},
       "sampleRate (--sample-rate): 2 is out of range; allowed: a number from 0 to 1"},
      {{"-p", "80", "--sample-rate=-0.5"},
       "sampleRate (--sample-rate): -0.5 is out of range; allowed: a number from 0 to 1"},
      {{"-p", "80", "--sample-rate", "nan"},
       "sampleRate (--sample-rate): \"nan\" is not a number; allowed: a number from 0 to 1"},
      {{"-p", "80", "--sample-rate", "50%"},
       "sampleRate (--sample-rate): \"50%\" is not a number; allowed: a number from 0 to 1"},
      {{"-p", "80", "--shards", "-1"},
       "shards (--shards): -1 is out of range; allowed: a whole number from 0 to 256"},
      {{"-p", "80", "--shards", "1.5"},
       "shards (--shards): 1.5 is not a whole number; allowed: a whole number from 0 to 256"},
      {{"-p", "80", "--shards", "two"},
       "shards (--shards): \"two\" is not a whole number; allowed: a whole number from 0 to 256"},
      {{"-p", "80", "--max-body-size", "64Q"},
       "maxBodySize (--max-body-size): \"64Q\" is not a size; allowed: whole bytes from 0 to "
       "4294967295, also written as \"64K\", \"1M\", \"2G\""},
      {{"-p", "80", "--max-body-size", "64KB"},
       "maxBodySize (--max-body-size): \"64KB\" is not a size; allowed: whole bytes from 0 to "
       "4294967295, also written as \"64K\", \"1M\", \"2G\""},
      {{"-p", "80", "--max-body-size", "1.5M"},
       "maxBodySize (--max-body-size): \"1.5M\" is not a size; allowed: whole bytes from 0 to "
       "4294967295, also written as \"64K\", \"1M\", \"2G\""},
      {{"-p", "80", "--max-body-size", "8G"},
       "maxBodySize (--max-body-size): \"8G\" is out of range; allowed: whole bytes from 0 to "
       "4294967295, also written as \"64K\", \"1M\", \"2G\""},
      {{"-p", "80", "--max-body-size", "5000000000"},
       "maxBodySize (--max-body-size): 5000000000 is out of range; allowed: whole bytes from 0 to "
       "4294967295, also written as \"64K\", \"1M\", \"2G\""},
      {{"-p", "80", "--max-body-size", "-1"},
       "maxBodySize (--max-body-size): -1 is out of range; allowed: whole bytes from 0 to "
       "4294967295, also written as \"64K\", \"1M\", \"2G\""},
      {{"-p", "80", "--gap-timeout-ms", "5y"},
       "gapTimeoutMs (--gap-timeout-ms): \"5y\" is not a duration; allowed: whole milliseconds "
       "from 0 to 3600000, in flags also 500ms, 5s, 2m"},
      {{"-p", "80", "--gap-timeout-ms", "2h"},
       "gapTimeoutMs (--gap-timeout-ms): 7200000 is out of range; allowed: whole milliseconds from "
       "0 to 3600000, in flags also 500ms, 5s, 2m"},
      {{"-p", "80", "--defrag=maybe"},
       "defrag (--defrag): \"maybe\" is not true or false; allowed: true or false"},
      {{"-p", "80", "--format", "xml"},
       "format (--format): \"xml\" is not one of the words; allowed: one of ndjson, framed, "
       "packed, "
       "pretty, tsv, csv"},
      {{"-p", "80", "--color", "yes"},
       "color (--color): \"yes\" is not one of the words; allowed: one of auto, always, never"},
      {{"-r", ""},
       "files (--files): \"\" is empty; allowed: a list of paths, at least one, none empty"},
      {{"-r"}, "files (--files): no value; allowed: a list of paths, at least one, none empty"},
      {{"-r", "-", "-"}, "files: \"-\" is given twice; allowed: standard input once"},
      {{"-r", "a.pcap", "-i", "lo"},
       "interface: \"lo\" and files: \"a.pcap\" exclude each other; allowed: one of the two"},
      {{"-p", "80", "8080"},
       "unexpected argument \"8080\"; allowed: capture files and a filter; ports are given with "
       "-p 80,8080, all other values with their flag, as in --defrag=false"},
      {{"-p", "80", "--defrag", "false"},
       "unexpected argument \"false\"; allowed: capture files and a filter; ports are given with "
       "-p 80,8080, all other values with their flag, as in --defrag=false"},
      {{"-i", "lo", "-p", "80", "no/such.file"},
       "interface: \"lo\" and files: \"no/such.file\" exclude each other; allowed: one of the "
       "two"},
      {{"a.pcap", "--filter", "udp", "host", "10.0.0.1"},
       "filter (--filter): \"udp\" is one filter and \"host 10.0.0.1\" another; allowed: one of "
       "the two"},
      {{"--max-body-siz", "3"}, "unknown flag \"--max-body-siz\"; did you mean --max-body-size?"},
      {{"--maxBodySize=3"}, "unknown flag \"--maxBodySize\"; did you mean --max-body-size?"},
      {{"--no-promiscous"}, "unknown flag \"--no-promiscous\"; did you mean --no-promiscuous?"},
      {{"--no-shards"}, "unknown flag \"--no-shards\"; did you mean --shards?"},
      {{"--frobnicate"}, "unknown flag \"--frobnicate\"; allowed: the flags that --help lists"},
      {{"-x"}, "unknown flag \"-x\"; allowed: the flags that --help lists"},
      {{"-p", "80", "--redact-headers", "a b"},
       "redactHeaders (--redact-headers): \"a b\" is not a header name; allowed: a list of header "
       "names"},
      {{"-p", "80", "--filter", "\xff"},
       "filter (--filter): \"\\xff\" is not valid UTF-8; allowed: a string"},
      {{"--config"}, "--config: no value"},
      {{"--config", "/no/such/file"},
       "config: cannot read \"/no/such/file\": No such file or directory"},
  };
  for (const Refused& row : table) {
    std::string line;
    for (const char* argument : row.arguments) line += std::string(argument) + " ";
    EXPECT_EQ(refusal(row.arguments), row.message) << line;
  }
}

TEST(OptionsTest, ARefusalSaysInWhichFormItIsToBeReported) {
  const Environment terminal = {.cpus = 1, .stdout_is_terminal = true, .stderr_is_terminal = true};
  const auto form = [](const ParseResult& result) {
    return std::get<Rejection>(result).log_format;
  };
  EXPECT_EQ(form(parse({"-p", "0"})), LogFormat::kJson);
  const Arguments wrong = {"-p", "0"};
  EXPECT_EQ(form(parse_command_line(wrong, terminal)), LogFormat::kText);
  const FakeInput input("{\"ports\":[0]}\n");
  const Arguments from_stdin = {"--config", "-"};
  EXPECT_EQ(form(parse_command_line(from_stdin, terminal, input.fd())), LogFormat::kJson);
}

}  // namespace
}  // namespace tcp_sniffer::options_rejected_test
