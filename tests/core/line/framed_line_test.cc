#include "core/line/framed_line.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/line/message_line.h"

namespace tcp_sniffer::framed_line_test {
namespace {

using Json = nlohmann::json;

struct ParsedFrame {
  Json json;
  std::string body;
};

uint32_t read_le32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

// Takes the first frame off the stream.
ParsedFrame take_frame(std::string_view& stream) {
  const uint32_t json_size = read_le32(stream);
  const uint32_t body_size = read_le32(stream.substr(4));
  EXPECT_LE(8 + size_t{json_size} + body_size, stream.size());
  ParsedFrame frame{Json::parse(stream.substr(8, json_size)),
                    std::string(stream.substr(8 + json_size, body_size))};
  stream.remove_prefix(8 + size_t{json_size} + body_size);
  return frame;
}

LineOptions framed() {
  LineOptions options;
  options.format = LineOptions::kFramed;
  return options;
}

Message response(std::string_view body) {
  Message message;
  message.direction = MessageDirection::kResponse;
  message.status = 200;
  message.reason = "OK";
  message.body = body;
  message.body_size = body.size();
  return message;
}

ParsedFrame frame_of(const Message& message) {
  MessageLineWriter writer(framed());
  ScratchLine line;
  writer.write(message, line);
  std::string_view stream = line.view();
  ParsedFrame frame = take_frame(stream);
  EXPECT_TRUE(stream.empty());
  return frame;
}

TEST(FramedLine, FramesFollowEachOtherWithoutAnythingBetween) {
  MessageLineWriter writer(framed());
  ScratchLine line;
  writer.write(response("first \"body\"\n"), line);
  writer.write(response(""), line);
  writer.write(response(std::string_view("\0\xff\x01", 3)), line);
  std::string_view stream = line.view();
  EXPECT_EQ(take_frame(stream).body, "first \"body\"\n");
  EXPECT_EQ(take_frame(stream).body, "");
  EXPECT_EQ(take_frame(stream).body, std::string("\0\xff\x01", 3));
  EXPECT_TRUE(stream.empty());
}

TEST(FramedLine, JsonIsTheLinesObjectWithoutBodyAndSaysTheEncoding) {
  const ParsedFrame text = frame_of(response("text"));
  MessageLineWriter lines({});
  ScratchLine line;
  lines.write(response("text"), line);
  Json expected = Json::parse(line.view());
  expected.erase("body");
  expected["bodyEncoding"] = "utf8";
  EXPECT_EQ(text.json, expected);
  EXPECT_EQ(frame_of(response("\xff")).json["bodyEncoding"], "binary");
  EXPECT_EQ(frame_of(response("")).json["bodyEncoding"], "utf8");
}

TEST(FramedLine, BodyThatIsNotKeptHasNoEncodingAndNoBytes) {
  Message message = response("");
  message.body_kept = false;
  message.body_size = 12345;
  const ParsedFrame frame = frame_of(message);
  EXPECT_FALSE(frame.json.contains("bodyEncoding"));
  EXPECT_EQ(frame.json["bodySize"], 12345);
  EXPECT_EQ(frame.body, "");
}

TEST(FramedLine, TruncatedTextEndsOnACharacterAndBinaryKeepsEveryByte) {
  Message message = response("ab\xe2\x82");
  message.body_truncated = true;
  EXPECT_EQ(frame_of(message).body, "ab");
  EXPECT_EQ(frame_of(message).json["bodyEncoding"], "utf8");
  message.body = "\xff\xe2\x82";
  EXPECT_EQ(frame_of(message).body, "\xff\xe2\x82");
}

TEST(FramedLine, LengthsAreLittleEndianForLargeBodies) {
  const std::string body(0x12345, 'x');
  MessageLineWriter writer(framed());
  ScratchLine line;
  writer.write(response(body), line);
  EXPECT_EQ(line.view().substr(4, 4), std::string_view("\x45\x23\x01\x00", 4));
  std::string_view stream = line.view();
  EXPECT_EQ(take_frame(stream).body, body);
}

}  // namespace
}  // namespace tcp_sniffer::framed_line_test
