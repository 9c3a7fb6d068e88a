#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "io/config/config_keys.h"
#include "io/config/config_values.h"
#include "io/config/options.h"

namespace tcp_sniffer {
namespace {

constexpr size_t kColumns = 80;
constexpr size_t kMeaningColumn = 32;

constexpr std::string_view kHelpHead =
    R"(tcp-sniffer shows the HTTP/1.x messages in TCP traffic, without touching it.

Usage:
  tcp-sniffer -i eth0 -p 80,8080          capture on an interface
  tcp-sniffer -r a.pcap [b.pcapng ...]    read capture files, as one stream
  tcp-sniffer a.pcap 'host 10.0.0.1'      words are files, or else a filter
  tcp-sniffer --config FILE|-             take the keys from a JSON object

Messages go to standard output, one JSON object a line; events go to standard
error. Nothing is redacted unless asked for. A flag beats the file of --config;
the keys in that file are the flags in camelCase (--max-body-size is
maxBodySize). Sizes may be written 64K, 1M, 2G; times 500ms, 5s, 2m. Lists are
separated by commas, or the flag is repeated. --no-FLAG or --FLAG=false turns a
flag off. On SIGHUP the file of --config is read again: the keys marked (SIGHUP)
take their new values while the program runs.

General:
)";

constexpr std::string_view kHelpTail = R"(
Exit codes: 0 done, 2 configuration, 3 interface, 4 permission, 5 capture,
6 input file, 7 output, 70 internal fault; 1 with --fail-if-none: no message.
)";

constexpr std::string_view kShortHelp =
    R"(tcp-sniffer shows the HTTP/1.x messages in TCP traffic, without touching it.

  tcp-sniffer -i eth0 -p 80,8080       capture on an interface
  tcp-sniffer a.pcap 'host 10.0.0.1'   read capture files; the rest is a filter

  -i, --interface NAME      interface to capture on       -D   list them
  -p, --ports PORT,...      TCP ports; live they are required
  -r, --files FILE...       capture files; - is standard input
      --filter EXPRESSION   libpcap filter, like the words without a flag
      --format WORD         ndjson, framed, packed, tsv, csv; pretty: for people
  -o, --output FILE         messages go here; also kafka://HOST:PORT/TOPIC
  -v, -vv                   headers too, and bodies       --color WORD
      --fields extended     more of each message   --select NAME,...  only these
      --max-body-size SIZE  bytes of body kept [1M]; 0 = none
      --records exchange    a line for each exchange   --follow  files that grow
      --extract-dir FOLDER  response bodies as files  --decode-bodies  undo gzip
      --redact-headers NAME,...   --redact-query NAME,...    hide values
      --where CONDITION     only such exchanges    --sample-rate 0.1   a tenth
      --config FILE         keys from a JSON object
      --check               report what prevents a run, and exit
  -q, --quiet               only warnings         --utc   times in UTC
  -c, --count N             stop after N exchanges, or      --duration 30s
      --help                all flags                     --version
)";

// `text` in lines from kMeaningColumn to kColumns; the first line goes on after `line`.
void append_wrapped(std::string& out, std::string line, std::string_view text) {
  if (line.size() + 1 > kMeaningColumn) {
    out.append(line).append("\n");
    line.clear();
  }
  line.resize(kMeaningColumn, ' ');
  bool fresh = true;
  while (!text.empty()) {
    const size_t size = std::min(text.find(' '), text.size());
    if (!fresh && line.size() + 1 + size > kColumns) {
      out.append(line).append("\n");
      line.assign(kMeaningColumn, ' ');
      fresh = true;
    }
    if (!fresh) line += ' ';
    line += text.substr(0, size);
    fresh = false;
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  out.append(line).append("\n");
}

std::string words_text(const KeySpec& key) {
  std::string out;
  for (const std::string_view word : key.words) {
    if (!out.empty()) out += '|';
    out += word;
  }
  return out;
}

void append_key(std::string& out, const KeySpec& key) {
  std::string line = key.short_flag.empty() ? "      " : "  -" + std::string(key.short_flag) + ", ";
  line += (is_boolean(key) ? "--[no-]" : "--") + flag_name(key.name);
  if (!key.value_name.empty()) line += " " + std::string(key.value_name);
  std::string text(key.meaning);
  if (!key.words.empty()) text += " (" + words_text(key) + ")";
  text += " [" + default_text(key) + "]";
  if (key.live_only) text += " (live)";
  if (key.reloads) text += " (SIGHUP)";
  if (!key.supported) text += " (not yet supported)";
  append_wrapped(out, std::move(line), text);
}

std::string markdown_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

void append_markdown_row(std::string& out, const KeySpec& key) {
  std::string flags = key.short_flag.empty() ? "" : "`-" + std::string(key.short_flag) + "`, ";
  flags += "`--" + flag_name(key.name) + "`";
  std::string meaning = markdown_cell(key.meaning);
  if (key.live_only) meaning += " (live only)";
  if (key.reloads) meaning += " (re-read on SIGHUP)";
  if (!key.supported) meaning += " (not yet supported)";
  out.append("| `").append(key.name).append("` | ").append(flags).append(" | ");
  out.append(markdown_cell(default_text(key))).append(" | ");
  out.append(markdown_cell(allowed_text(key))).append(" | ").append(meaning).append(" |\n");
}

}  // namespace

std::string short_help_text() {
  return std::string(kShortHelp);
}

std::string help_text() {
  std::string out(kHelpHead);
  append_wrapped(
      out, "      --config FILE|-",
      "read a JSON object with keys; - reads one line from standard input, whose end "
      "then ends a live capture. Without it the file that TCP_SNIFFER_CONFIG names, if any");
  for (const ActionFlag& flag : action_flags()) {
    if (flag.meaning.empty()) continue;
    std::string line =
        flag.short_flag == 0 ? "      " : std::string("  -") + flag.short_flag + ", ";
    line.append("--").append(flag.name);
    if (!flag.value_name.empty()) line.append(" ").append(flag.value_name);
    append_wrapped(out, std::move(line), flag.meaning);
  }
  for (const KeyGroup group : kKeyGroups) {
    out.append("\n").append(group_title(group)).append(":\n");
    for (const KeySpec& key : config_keys()) {
      if (key.group == group) append_key(out, key);
    }
  }
  out += kHelpTail;
  return out;
}

std::string keys_markdown() {
  std::string out;
  for (const KeyGroup group : kKeyGroups) {
    if (!out.empty()) out += '\n';
    out.append("## ").append(group_title(group)).append("\n\n");
    out += "| key | flag | default | allowed | meaning |\n|---|---|---|---|---|\n";
    for (const KeySpec& key : config_keys()) {
      if (key.group == group) append_markdown_row(out, key);
    }
  }
  return out;
}

}  // namespace tcp_sniffer
