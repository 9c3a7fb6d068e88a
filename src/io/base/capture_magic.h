#pragma once

#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

// What capture files begin with, as numbers in the byte order of the program that wrote the file
// (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).
constexpr size_t kCaptureMagicSize = 4;
constexpr uint32_t kPcapMagicMicro = 0xa1b2c3d4;
constexpr uint32_t kPcapMagicNano = 0xa1b23c4d;
constexpr uint32_t kPcapMagicModified = 0xa1b2cd34;  // Kuznetzov's patched libpcap
constexpr uint32_t kPcapngMagic = 0x0a0d0d0a;        // the same in both byte orders
constexpr uint32_t kPcapngByteOrderMagic = 0x1a2b3c4d;

}  // namespace tcp_sniffer
