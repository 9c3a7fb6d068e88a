// JSON escaping: every set of kernels writes the same bytes, and what a parser reads from them is
// the text.

#include "core/line/json_escape.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>
#include <vector>

#include "core/line/json_string.h"
#include "core/line/message_line.h"
#include "fuzz_input.h"

namespace tcp_sniffer::fuzz {
namespace {

std::vector<const EscapeKernels*> all_kernels() {
  std::vector<const EscapeKernels*> kernels = {&portable_escape_kernels()};
  if (avx2_escape_kernels() != nullptr) kernels.push_back(avx2_escape_kernels());
  if (avx512_escape_kernels() != nullptr) kernels.push_back(avx512_escape_kernels());
  return kernels;
}

// What a parser makes of the JSON string.
std::string parsed(std::string_view json) {
  static simdjson::dom::parser parser;
  std::string_view text;
  const std::string array = "[" + std::string(json) + "]";
  simdjson::dom::element element;
  EXPECT_EQ(parser.parse(array).get(element), simdjson::SUCCESS) << array;
  EXPECT_EQ(element.at(0).get(text), simdjson::SUCCESS) << array;
  return std::string(text);
}

std::string latin1_as_utf8(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | byte >> 6);
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

struct Written {
  std::string utf8;  // "" when the text is not UTF-8
  std::string latin1;
  std::string line;  // of a message with the text in every place

  friend bool operator==(const Written&, const Written&) = default;
};

Written write(const EscapeKernels& kernels, std::string_view text, size_t name_size) {
  Written written;
  const JsonStringWriter strings(kernels);
  ScratchLine utf8;
  if (strings.write_utf8(text, utf8)) written.utf8 = utf8.view();
  ScratchLine latin1;
  strings.write_latin1(text, latin1);
  written.latin1 = latin1.view();

  LineOptions options;
  options.raw_headers = true;
  MessageLineWriter writer(options, kernels);
  const std::string_view name = text.substr(0, name_size);
  const HeaderField fields[] = {{name, text.substr(name.size())},
                                {"x", text},
                                {name, "y", text.find('\n') != std::string_view::npos},
                                {"plain", "value"}};
  Message message;
  message.method = name;
  message.target = text;
  message.headers = fields;
  message.trailers = std::span(fields).first(2);
  message.body = text;
  message.body_size = text.size();
  ScratchLine line;
  writer.write(message, line);
  written.line = line.view();
  return written;
}

void check(FuzzInput input) {
  const size_t name_size = input.u8();
  // In memory of its own size, so that no kernel reads beyond it unseen.
  const std::string_view rest = input.rest();
  const std::vector<char> exact(rest.begin(), rest.end());
  const std::string_view text(exact.data(), exact.size());
  const auto kernels = all_kernels();
  const Written first = write(*kernels.front(), text, name_size);
  for (const EscapeKernels* others : kernels) {
    EXPECT_EQ(first, write(*others, text, name_size)) << others->name;
  }
  const bool is_utf8 = simdjson::validate_utf8(text.data(), text.size());
  EXPECT_EQ(!first.utf8.empty(), is_utf8);
  if (is_utf8) {
    EXPECT_EQ(parsed(first.utf8), text);
  }
  EXPECT_EQ(parsed(first.latin1), latin1_as_utf8(text));
  ASSERT_TRUE(first.line.ends_with("\n"));
  static simdjson::dom::parser parser;
  EXPECT_EQ(parser.parse(first.line).error(), simdjson::SUCCESS) << first.line;
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  check(FuzzInput(data, size));
  return 0;
}
