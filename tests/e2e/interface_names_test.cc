// The interface that a message came from, by its name in a pcapng file.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "packets/packet_builder.h"
#include "support/capture_files.h"
#include "support/run_program.h"

namespace tcp_sniffer::interface_names_test {
namespace {

Bytes named(const std::string& name, uint16_t link_type = 1, bool big_endian = false) {
  const Bytes text(name.begin(), name.end());
  return interface_block(link_type, 0,
                         Writer(big_endian)
                             .u16(2)
                             .u16(static_cast<uint16_t>(name.size()))
                             .raw(text)
                             .pad()
                             .u32(0)
                             .bytes,
                         big_endian);
}

struct Ids {
  uint32_t client;
  uint32_t server;
};

// A connection with one exchange, whose directions were captured on these interfaces.
Bytes connection(uint16_t port, Ids ids, uint64_t at_us, bool big_endian = false) {
  const std::string get = "GET /" + std::to_string(port) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string early = "HTTP/1.1 103 Early Hints\r\n\r\n";
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const auto gets = static_cast<uint32_t>(get.size());
  const auto oks = static_cast<uint32_t>(early.size() + ok.size());
  struct Step {
    bool from_client;
    uint8_t flags;
    uint32_t sequence;
    uint32_t acknowledgment;
    std::string payload;
  };
  const Step steps[] = {{true, 0x02, 999, 0, ""},
                        {false, 0x12, 1999, 1000, ""},
                        {true, 0x10, 1000, 2000, ""},
                        {true, 0x18, 1000, 2000, get},
                        {false, 0x18, 2000, 1000 + gets, early + ok},
                        {true, 0x11, 1000 + gets, 2000 + oks, ""},
                        {false, 0x11, 2000 + oks, 1001 + gets, ""},
                        {true, 0x10, 1001 + gets, 2001 + oks, ""}};
  Bytes blocks;
  for (const Step& step : steps) {
    packets::Ipv4Fields ip;
    packets::TcpFields fields;
    fields.source_port = port;
    if (!step.from_client) {
      std::swap(ip.source, ip.destination);
      std::swap(fields.source_port, fields.destination_port);
    }
    fields.sequence = step.sequence;
    fields.acknowledgment = step.acknowledgment;
    fields.flags = step.flags;
    const Bytes frame = packets::ethernet(
        0x0800, packets::ipv4_tcp(
                    ip, packets::tcp(fields, Bytes(step.payload.begin(), step.payload.end()))));
    blocks = blocks + enhanced(frame, 1'700'000'000'000'000 + at_us++,
                               step.from_client ? ids.client : ids.server, big_endian);
  }
  return blocks;
}

class InterfaceNames : public CaptureFileTest {
 protected:
  // The lines by their paths; a response has that of its request by its exchange.
  std::vector<Json> lines(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--format", "ndjson", "--fields", "extended"});
    const Finished run = run_sniffer(arguments);
    EXPECT_EQ(run.exit.code, 0) << run.err;
    std::vector<Json> parsed;
    for (const std::string& line : lines_of(run.out)) parsed.push_back(Json::parse(line));
    return parsed;
  }
  static std::string interface_of(const Json& object) {
    return object.value("interface", std::string("(none)"));
  }
};

TEST_F(InterfaceNames, EachMessageHasTheOneOfItsDirection) {
  const std::string path =
      write("tap.pcapng", section() + named("leg1") + named("leg2") + connection(40001, {0, 1}, 0) +
                              connection(40002, {1, 0}, 100) + connection(40003, {1, 1}, 200));
  for (const char* shards : {"0", "1", "4"}) {
    size_t count = 0;
    for (const Json& line : lines({"-r", path, "--shards", shards})) {
      const int port = line["destination"]["port"].get<int>();
      const bool request = line["direction"] == "request";
      const bool first = port == 40001 ? request : port == 40002 ? !request : false;
      EXPECT_EQ(interface_of(line), first ? "leg1" : "leg2") << line;
      count++;
    }
    EXPECT_EQ(count, 9u);
  }
}

TEST_F(InterfaceNames, AnExchangeHasThatOfItsRequestAndAResponseItsOwnWhenItIsAnother) {
  const std::string path =
      write("tap.pcapng", section() + named("leg1") + named("leg2") + connection(40001, {0, 1}, 0) +
                              connection(40002, {1, 1}, 100));
  const std::vector<Json> exchanges = lines({"-r", path, "--records", "exchange", "--shards", "0"});
  ASSERT_EQ(exchanges.size(), 2u);
  EXPECT_EQ(interface_of(exchanges[0]), "leg1");
  EXPECT_EQ(interface_of(exchanges[0]["request"]), "(none)");
  EXPECT_EQ(interface_of(exchanges[0]["interim"][0]), "leg2");
  EXPECT_EQ(interface_of(exchanges[0]["response"]), "leg2");
  EXPECT_EQ(interface_of(exchanges[1]), "leg2");
  EXPECT_EQ(interface_of(exchanges[1]["response"]), "(none)") << "the same";
  // Where one direction is missing, the line has that of the other.
  const std::string one =
      write("one.pcapng", section() + named("leg1") + named("leg2") + connection(40001, {0, 1}, 0));
  const std::vector<Json> alone =
      lines({"-r", one, "--records", "exchange", "--filter", "src port 80"});
  ASSERT_EQ(alone.size(), 2u);
  for (const Json& line : alone) EXPECT_EQ(interface_of(line), "leg2") << line;
}

TEST_F(InterfaceNames, PackedRecordsAndSelectedFieldsHaveThem) {
  const std::string path =
      write("tap.pcapng", section() + named("leg1") + named("leg\xff") +
                              connection(40001, {0, 1}, 0) + connection(40002, {1, 1}, 100));
  for (const char* records : {"message", "exchange"}) {
    const std::vector<std::string> arguments = {
        "-r",       path,       "--shards",      "0",      "--records", records,
        "--fields", "extended", "--binary-body", "base64", "--format"};
    std::vector<std::string> packed = arguments;
    packed.push_back("packed");
    const std::string file = (folder_ / "records").string();
    packed.insert(packed.end(), {"--output", file});
    ASSERT_EQ(run_sniffer(packed).exit.code, 0);
    const Finished read = run({"python3", source_dir().string() + "/tools/packed.py", file});
    ASSERT_EQ(read.exit.code, 0) << read.err;
    std::vector<std::string> ndjson = arguments;
    ndjson.push_back("ndjson");
    const std::vector<std::string> wanted = lines_of(run_sniffer(ndjson).out);
    const std::vector<std::string> got = lines_of(read.out);
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); i++) {
      EXPECT_EQ(Json::parse(got[i]), Json::parse(wanted[i])) << records;
    }
    std::filesystem::remove(file);
  }
  const Finished table = run_sniffer(
      {"-r", path, "--shards", "0", "--format", "tsv", "--select", "direction,interface"});
  EXPECT_EQ(lines_of(table.out)[1], "request\tleg1");
  const Finished exchanges = run_sniffer({"-r", path, "--shards", "0", "--format", "tsv",
                                          "--records", "exchange", "--select", "interface,status"});
  EXPECT_EQ(lines_of(exchanges.out)[1], "leg1\t200");
}

TEST_F(InterfaceNames, SectionsAndFilesHaveTheirOwn) {
  const std::string first =
      write("a.pcapng", section() + named("eth0") + connection(40001, {0, 0}, 0) + section(true) +
                            named("wlan0", 1, true) + connection(40002, {0, 0}, 100, true));
  const std::string second = write(
      "b.pcapng", section() + interface_block(1) + named("eth0") + connection(40003, {0, 1}, 200));
  for (const char* shards : {"0", "2"}) {
    size_t count = 0;
    for (const Json& line : lines({"-r", first, second, "--shards", shards})) {
      const int port = line["destination"]["port"].get<int>();
      const std::string wanted = port == 40001                     ? "eth0"
                                 : port == 40002                   ? "wlan0"
                                 : line["direction"] == "response" ? "eth0"
                                                                   : "(none)";
      EXPECT_EQ(interface_of(line), wanted) << line;
      count++;
    }
    EXPECT_EQ(count, 9u);
  }
}

TEST_F(InterfaceNames, ALongNameIsCutAndAnEmptyOneIsNone) {
  const std::string path =
      write("long.pcapng", section() + named(std::string(60000, 'n')) + named("") +
                               named(std::string("z\0\0", 3)) + connection(40001, {0, 1}, 0) +
                               connection(40002, {2, 2}, 100));
  for (const Json& line : lines({"-r", path})) {
    const bool request = line["direction"] == "request";
    const std::string wanted = line["destination"]["port"] == 40002 ? "z"
                               : request                            ? std::string(255, 'n')
                                                                    : "(none)";
    EXPECT_EQ(interface_of(line), wanted);
  }
}

// Each section names an interface anew.
TEST_F(InterfaceNames, ThousandsOfSectionsNeedNoMoreThanTheNamesThereMayBe) {
  Bytes file;
  for (int i = 0; i < 4200; i++) file = file + section() + named("e" + std::to_string(i));
  const std::string path = write("many.pcapng", file + connection(40001, {0, 0}, 0) + section() +
                                                    named("e7") + connection(40002, {0, 0}, 100));
  for (const Json& line : lines({"-r", path})) {
    EXPECT_EQ(interface_of(line), line["destination"]["port"] == 40002 ? "e7" : "(none)");
  }
}

}  // namespace
}  // namespace tcp_sniffer::interface_names_test
