#include "core/line/packed_record.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/line/message_line.h"
#include "core/line/packed_layout.h"

namespace tcp_sniffer::packed_record_test {
namespace {

LineOptions packed_options() {
  LineOptions options;
  options.format = LineOptions::kPacked;
  options.binary_base64 = true;
  return options;
}

std::string record_of(const Message& message, const LineOptions& options) {
  MessageLineWriter writer(options);
  ScratchLine line;
  writer.write(message, line);
  return std::string(line.view());
}

packed::Fixed fixed_of(std::string_view record) {
  packed::Fixed fixed;
  EXPECT_GE(record.size(), sizeof(fixed));
  std::memcpy(&fixed, record.data(), sizeof(fixed));
  return fixed;
}

std::string_view text_at(std::string_view record, packed::Place place) {
  return record.substr(place.offset, place.length);
}

// name and value of each header, with the marks of its value.
std::vector<std::string> headers_of(std::string_view record) {
  const packed::Fixed fixed = fixed_of(record);
  std::vector<std::string> headers;
  for (uint32_t i = 0; i < fixed.headers.length; i++) {
    packed::HeaderEntry field;
    std::memcpy(&field, record.data() + fixed.headers.offset + i * sizeof(field), sizeof(field));
    const uint32_t marks = field.value.length & ~(packed::kValueIsLatin1 - 1);
    field.value.length &= packed::kValueIsLatin1 - 1;
    std::string text(text_at(record, field.name));
    text.append(": ").append(text_at(record, field.value));
    if ((marks & packed::kValueIsLatin1) != 0) text += " (latin1)";
    if ((marks & packed::kValueIsFolded) != 0) text += " (folded)";
    headers.push_back(text);
  }
  return headers;
}

// A request whose texts are parts of `head`.
struct Request {
  std::string head;
  std::vector<HeaderField> fields;
  Message message;

  explicit Request(std::string text) : head(std::move(text)) {
    const std::string_view all = head;
    message.method = all.substr(0, 3);
    message.target = all.substr(4, all.find(' ', 4) - 4);
    for (size_t at = all.find('\n') + 1; all[at] != '\r';) {
      const size_t colon = all.find(": ", at);
      const size_t end = all.find("\r\n", at);
      if (colon < end) {
        fields.push_back({all.substr(at, colon - at), all.substr(colon + 2, end - colon - 2)});
      }
      at = end + 2;
    }
    message.headers = fields;
    message.head = all;
    message.headers_size = static_cast<uint32_t>(all.size());
  }
};

constexpr const char* kHead =
    "GET /path HTTP/1.1\r\nHost: example.com\r\nno colon\r\nX-Empty: \r\nAccept: */*\r\n\r\n";

TEST(PackedRecord, AHeadInOnePieceSaysWhatItsTextsSay) {
  Request request(kHead);
  for (const bool as_sent : {true, false}) {
    if (!as_sent) request.message.head = {};
    const std::string record = record_of(request.message, packed_options());
    const packed::Fixed fixed = fixed_of(record);
    EXPECT_EQ(text_at(record, fixed.first_text), "GET");
    EXPECT_EQ(text_at(record, fixed.second_text), "/path");
    EXPECT_EQ(headers_of(record),
              (std::vector<std::string>{"Host: example.com", "X-Empty: ", "Accept: */*"}));
    EXPECT_NE(fixed.flags & packed::kTextsAreAscii, 0u);
    // What stands between the texts is there only when nothing of the head is to be hidden.
    EXPECT_EQ(record.find("no colon") != std::string::npos, as_sent);
  }
}

TEST(PackedRecord, ATextThatIsNotPartOfTheHeadIsTakenFromWhereItIs) {
  for (size_t which = 0; which < 4; which++) {
    Request request(kHead);
    const std::string hidden = "[redacted]";
    if (which == 0) request.message.method = hidden;
    if (which == 1) request.message.target = hidden;
    if (which == 2) request.fields[0].value = hidden;
    if (which == 3) request.fields[2].name = hidden;
    const std::string record = record_of(request.message, packed_options());
    EXPECT_NE(record.find(hidden), std::string::npos);
    EXPECT_EQ(record.find("no colon"), std::string::npos) << "the head is here";
    EXPECT_EQ(headers_of(record).size(), 3u);
  }
}

TEST(PackedRecord, ANameWithAValueThatIsNotUtf8IsLatin1WithAllItsValues) {
  Request request("GET /\xff HTTP/1.1\r\nA: \xff\r\nB: b\r\na: \xc3\xa9\r\nC: \xc3\xa9\r\n\r\n");
  request.fields[1].folded = true;
  for (const bool as_sent : {true, false}) {
    if (!as_sent) request.message.head = {};
    const std::string record = record_of(request.message, packed_options());
    EXPECT_EQ(headers_of(record),
              (std::vector<std::string>{"A: \xff (latin1)", "B: b (folded)", "a: \xc3\xa9 (latin1)",
                                        "C: \xc3\xa9"}));
    const uint32_t flags = fixed_of(record).flags;
    EXPECT_EQ(flags & packed::kTextsAreAscii, 0u);
    EXPECT_EQ(flags & packed::kFirstTextIsLatin1, 0u);
    EXPECT_NE(flags & packed::kSecondTextIsLatin1, 0u);
  }
}

TEST(PackedRecord, EachBeginsAtAMultipleOf8AndSoDoItsParts) {
  MessageLineWriter writer([] {
    LineOptions options = packed_options();
    options.extended = true;
    auto names = std::make_shared<LinkNames>();
    names->add("eth0");
    options.link_names = std::move(names);
    return options;
  }());
  ScratchLine line;
  for (size_t size = 0; size < 40; size++) {
    Request request("GET /" + std::string(size, 'p') + " HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string body(size, 'b');
    request.message.body = body;
    request.message.link_id = 1;
    request.message.content_decoded = "gzip";
    request.message.trailers = request.fields;
    request.message.missing_bytes = 1;
    request.message.client.is_known = true;
    writer.write(request.message, line);
  }
  std::string_view rest = line.view();
  size_t records = 0;
  for (; !rest.empty(); records++) {
    const size_t size = PackedRecordWriter::size_of(rest);
    ASSERT_GE(size, sizeof(packed::Fixed));
    EXPECT_EQ(size % 8, 0u);
    const packed::Fixed fixed = fixed_of(rest);
    EXPECT_EQ(fixed.parts.length, 6u);
    for (uint32_t i = 0; i < fixed.parts.length; i++) {
      packed::Part part;
      std::memcpy(&part, rest.data() + fixed.parts.offset + i * sizeof(part), sizeof(part));
      EXPECT_EQ(part.offset % 8, 0u);
      EXPECT_LE(part.offset + part.length, size);
    }
    EXPECT_EQ(text_at(rest, fixed.body).size(), records);
    rest.remove_prefix(size);
  }
  EXPECT_EQ(records, 40u);
}

TEST(PackedRecord, SaysWhyABodyHasNoBytes) {
  const auto kind_of = [](Message message, bool keeps_binary) {
    LineOptions options = packed_options();
    options.binary_base64 = keeps_binary;
    return fixed_of(record_of(message, options)).body_kind;
  };
  Message message;
  EXPECT_EQ(kind_of(message, true), packed::kText);
  message.body = "\xff";
  EXPECT_EQ(kind_of(message, true), packed::kBytes);
  EXPECT_EQ(kind_of(message, false), packed::kLeftOut);
  message.body = "";
  message.body_binary = true;
  EXPECT_EQ(kind_of(message, true), packed::kLeftOut);
  message.body_kept = false;
  EXPECT_EQ(kind_of(message, true), packed::kNoBody);
}

LineOptions selecting(const std::vector<std::string>& names) {
  LineOptions options = packed_options();
  for (const std::string& name : names) {
    options.select.push_back(std::get<FieldRef>(parse_field(name)));
  }
  return options;
}

packed::Selected selected_of(std::string_view record) {
  EXPECT_EQ(fixed_of(record).fixed_size, sizeof(packed::Fixed) + sizeof(packed::Selected));
  packed::Selected selected;
  std::memcpy(&selected, record.data() + sizeof(packed::Fixed), sizeof(selected));
  return selected;
}

TEST(PackedRecord, WhatWasNotSelectedIsAbsent) {
  Request request(kHead);
  const std::string body = "the body";
  request.message.body = body;
  request.message.body_size = body.size();
  request.message.connection_id = 7;
  request.message.first_byte_ns = 1000;
  request.message.last_byte_ns = 3000;
  request.message.receiver.port = 80;
  request.message.destination.port = 81;
  request.message.trailers = request.fields;
  const std::string record = record_of(
      request.message, selecting({"path", "headers.accept", "durationMs", "receiver.port"}));
  const packed::Fixed fixed = fixed_of(record);
  const packed::Selected selected = selected_of(record);
  EXPECT_EQ(selected.shown,
            packed::kShowsSecondText | packed::kShowsDuration | packed::kShowsReceiverPort);
  EXPECT_NE(fixed.flags & packed::kSelected, 0u);
  EXPECT_EQ(text_at(record, selected.names), "path,headers.accept,durationMs,receiver.port");
  EXPECT_EQ(text_at(record, fixed.second_text), "/path");
  EXPECT_EQ(headers_of(record), (std::vector<std::string>{"Accept: */*"}));
  EXPECT_EQ(fixed.duration_ns, 2000u);
  EXPECT_EQ(fixed.receiver_port, 80);
  EXPECT_EQ(fixed.first_text.length, 0u);
  EXPECT_EQ(fixed.first_byte_ns, 0u);
  EXPECT_EQ(fixed.connection_id, 0u);
  EXPECT_EQ(fixed.destination_port, 0);
  EXPECT_EQ(fixed.body_size, 0u);
  EXPECT_EQ(fixed.body_kind, packed::kNoBody);
  EXPECT_EQ(fixed.parts.length, 0u);
  for (const char* text : {"GET", "example.com", "the body"}) {
    EXPECT_EQ(record.find(text), std::string::npos) << text;
  }
}

TEST(PackedRecord, TheListOfHeadersBeginsAtAMultipleOf8WhateverWasSelected) {
  const Request request(kHead);
  for (const auto& names : std::vector<std::vector<std::string>>{
           {"headers"}, {"headers.host"}, {"path", "headers"}, {"method", "headers.accept"}}) {
    const std::string record = record_of(request.message, selecting(names));
    EXPECT_EQ(fixed_of(record).headers.offset % 8, 0u) << names.back();
    EXPECT_FALSE(headers_of(record).empty());
  }
}

TEST(PackedRecord, TheEncodingOfABodyMayBeSelectedWithoutIt) {
  Request request(kHead);
  const std::string body = "\xff\xfe";
  request.message.body = body;
  const std::string record = record_of(request.message, selecting({"bodyEncoding"}));
  EXPECT_EQ(fixed_of(record).body_kind, packed::kBytes);
  EXPECT_EQ(fixed_of(record).body.length, 0u);
  EXPECT_EQ(record.find(body), std::string::npos);
}

TEST(PackedRecord, ALaterPartHasNoHead) {
  Request request(kHead);
  const std::string body = "the body";
  request.message.body = body;
  for (const uint32_t number : {1u, 2u}) {
    request.message.part = number;
    request.message.last_part = number == 2;
    const std::string record = record_of(request.message, packed_options());
    const packed::Fixed fixed = fixed_of(record);
    ASSERT_EQ(fixed.parts.length, 1u);
    packed::Part entry;
    std::memcpy(&entry, record.data() + fixed.parts.offset, sizeof(entry));
    EXPECT_EQ(entry.tag, packed::kPart);
    packed::PartNumber part;
    std::memcpy(&part, record.data() + entry.offset, sizeof(part));
    EXPECT_EQ(part.number, number);
    EXPECT_EQ(part.is_last, number == 2 ? 1u : 0u);
    EXPECT_EQ(record.find("example.com") != std::string::npos, number == 1);
    EXPECT_EQ(fixed.second_text.length, number == 1 ? 5u : 0u);
    EXPECT_EQ(text_at(record, fixed.body), body);
  }
}

TEST(PackedRecord, BytesThatAreNoneHaveNoSize) {
  const std::string record = record_of(Request(kHead).message, packed_options());
  EXPECT_EQ(PackedRecordWriter::size_of(record), record.size());
  std::string wrong = record;
  wrong[4] = 'X';
  EXPECT_EQ(PackedRecordWriter::size_of(wrong), 0u);
  wrong = record;
  wrong[0] = '\x01';
  EXPECT_EQ(PackedRecordWriter::size_of(wrong), 0u);
  EXPECT_EQ(PackedRecordWriter::size_of(std::string_view("\0\0\0\0TP\1\1", 8)), 0u);
}

}  // namespace
}  // namespace tcp_sniffer::packed_record_test
