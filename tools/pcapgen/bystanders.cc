#include "bystanders.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tcp_sniffer::pcapgen {
namespace {

std::array<std::uint8_t, 16> address(std::uint8_t a, std::uint8_t b, std::uint64_t low) {
  return {a, b, static_cast<std::uint8_t>(low >> 8U), static_cast<std::uint8_t>(low)};
}

void write_segment(const Options& options, const Endpoint& from, const Endpoint& to,
                   const TcpFields& fields, std::uint64_t time_ns, CaptureWriter& writer) {
  FrameTemplate frames;
  frames.prepare(options, false, from, to, true);
  std::uint8_t* const frame = writer.frame_space(FrameTemplate::kHeaderBytesMax);
  const std::size_t bytes = frames.finish(frame, fields, 0);
  writer.commit(bytes, bytes, time_ns);
}

}  // namespace

void Bystanders::after_packet(std::uint64_t time_ns, Random& random, CaptureWriter& writer,
                              Ledger& ledger) {
  if (random.chance(options_.syn_flood)) {
    syn(time_ns, random, writer);
    ++ledger.syn_flood_packets;
  }
  if (random.chance(options_.port_scan)) {
    scan(time_ns, random, writer);
    ++ledger.port_scan_packets;
  }
  if (random.chance(options_.noise)) {
    noise(time_ns, random, writer);
    ++ledger.noise_frames;
  }
}

void Bystanders::syn(std::uint64_t time_ns, Random& random, CaptureWriter& writer) {
  const std::uint64_t source = random.next();
  Endpoint from{address(172, static_cast<std::uint8_t>(16 + (source >> 40U) % 16), source),
                static_cast<std::uint16_t>(1024 + (source >> 16U) % 64000)};
  Endpoint to{address(192, 168, 10U << 8U | (10 + source % 8)), options_.ports.front()};
  TcpFields fields;
  fields.flags = kSyn;
  fields.sequence = static_cast<std::uint32_t>(source >> 32U);
  write_segment(options_, from, to, fields, time_ns, writer);
}

// A SYN to the next port and, the next time, the RST that answers it (RFC 9293 section 3.10.7.1).
void Bystanders::scan(std::uint64_t time_ns, Random& random, CaptureWriter& writer) {
  const auto port = static_cast<std::uint16_t>(1 + scanned_ / 2 % 65535);
  Endpoint scanner{address(198, 51, 100U << 8U | 7U), 54321};
  Endpoint target{address(192, 168, 10U << 8U | 10U), port};
  TcpFields fields;
  if (scanned_ % 2 == 0) {
    fields.flags = kSyn;
    fields.sequence = static_cast<std::uint32_t>(random.next());
    write_segment(options_, scanner, target, fields, time_ns, writer);
  } else {
    fields.flags = kRst | kAck;
    write_segment(options_, target, scanner, fields, time_ns, writer);
  }
  ++scanned_;
}

void Bystanders::noise(std::uint64_t time_ns, Random& random, CaptureWriter& writer) {
  std::uint8_t* const frame = writer.frame_space(128);
  const std::uint64_t kind = random.below(4);
  for (std::size_t at = 0; at < 128; at += 8) {
    const std::uint64_t bytes = random.next();
    std::memcpy(frame + at, &bytes, 8);
  }
  std::size_t captured = 64;
  std::size_t on_wire = 64;
  if (kind == 0) {  // ARP
    constexpr std::array<std::uint8_t, 8> kHeader = {0x08, 0x06, 0, 1, 8, 0, 6, 4};
    std::copy(kHeader.begin(), kHeader.end(), frame + 12);
  } else {
    const std::uint8_t protocol = kind == 1 ? 17 : kind == 2 ? 1 : 6;
    const std::array<std::uint8_t, 12> header = {0x08, 0x00, 0x45, 0, 0,  50,
                                                 0,    1,    0,    0, 64, protocol};
    std::copy(header.begin(), header.end(), frame + 12);
    if (kind == 3) {  // TCP, cut off inside its header
      captured = 14 + 20 + 7;
    }
  }
  writer.commit(captured, on_wire, time_ns);
}

}  // namespace tcp_sniffer::pcapgen
