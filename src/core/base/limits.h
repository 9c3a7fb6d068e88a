#pragma once

#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

// The fixed limits that several classes share, or that ARCHITECTURE.md explains, each with the
// reason for its value. A limit of one class is in its header. What a user may set is in
// io/config/config.h.

// Stream offsets start here, so that an origin can move back without going below zero.
constexpr uint64_t kStreamOrigin = uint64_t{1} << 33;

// A segment further ahead of the head than this (and than the announced window) is not placed.
// 4 MiB: above what default Linux receivers announce (tcp_rmem max 6 MiB needs wscale 7+, which a
// captured SYN tells us), far below the 2 GiB where sequence arithmetic turns ambiguous.
constexpr uint64_t kWindowMin = 4u << 20;

// While a handshake is under way its acknowledgments are this close to the number of the SYN: the
// data of a first flight (RFC 6928: some 15 KB) with room to spare. A SYN is captured after at
// most this much of its own data.
constexpr uint64_t kHandshakeReach = 64u << 10;

// Segments outside the window that must continue each other before the head jumps to them. More of
// them are needed when they do not acknowledge exactly what the other side sent: either its
// segments are lost, too, or an attacker guesses. A guess comes within kHandshakeReach of the right
// number once in 30,000.
constexpr uint8_t kStrayAgreement = 4;
constexpr uint8_t kStrayAgreementUnsure = 16;

// A segment that ends at most this far before the end of the last one outside the window repeats
// it. Four 64 KiB frames of segmentation offload: copies of a frame follow it closely. A forged
// segment can hold up the real ones only until they have passed it by as much.
constexpr uint32_t kStrayRepeatMax = 256u << 10;

// Holes a reorder buffer may have. RFC 2018 receivers report 3-4; a burst loss on a 10 Gbit/s
// path makes tens. Bounds the cost of one insertion, with kMarksMax: a memmove of 4 KiB of ranges
// and one of half of 32 KiB of places.
constexpr uint32_t kRangesMax = 256;

// Segments remembered in one reorder buffer: 4 MiB of 512-byte segments.
constexpr uint32_t kMarksMax = 8192;

// Evidence that a hole will not be filled (ARCHITECTURE.md): acknowledgments beyond
// it that advanced, and packet time since the first of them.
constexpr uint8_t kGapAcksMin = 3;
constexpr int64_t kGapAckedWaitNs = 50'000'000;
constexpr int64_t kGapAckedWaitMaxNs = 1'000'000'000;

// With several interfaces the directions of a connection may come on two of them, of which one is
// up to 50 ms late. The other direction, and bytes that were acknowledged, are waited for that
// long, packet time: the 50 ms, and as much again twice for threads and kernel buffers that lag.
constexpr int64_t kLateLegWaitNs = 150'000'000;

// What a late direction may then be behind: 50 ms at 10 Gbit/s.
constexpr uint32_t kLateLegBytes = 64u << 20;

// A SYN may be captured this long after the first data of its connection (reordering before the
// tap, several queues), packet time.
constexpr int64_t kLateSynNs = 1'000'000'000;

// A finished connection's late retransmissions are recognised for this long (2 x the usual
// maximum RTO backoff steps seen after a FIN), packet time.
constexpr int64_t kTombstoneNs = 10'000'000'000;

// When memory is scarce, connections that hold some of it and sent nothing for this long (packet
// time) are given up. Longer than the pauses of a transfer (RFC 6298 section 2.4: an RTO is at
// least 1 s), so that what is being read stays.
constexpr int64_t kScarceIdleNs = 2'000'000'000;

// Two captures of one frame are this close at most, packet time: a mirror or a bridge needs
// microseconds, a busy one some milliseconds, and a retransmission timer 200 ms (RFC 6298 asks
// for 1 s).
constexpr int64_t kDuplicateFrameNs = 10'000'000;

// Bounded probing of the connection table: the wire does not know the hash secret, so a longer
// chain means a table too full, not an attack that could be served.
constexpr uint32_t kProbesMax = 64;

// A packet time this far from the clock needs that many agreeing packets to be believed.
constexpr int64_t kClockJumpNs = 3600ll * 1'000'000'000;
constexpr uint32_t kClockJumpPackets = 16;

// How far the shards' clock may be ahead of packet time after steps back: 109 years. With packet
// times up to 2116 no sum with a timeout overflows.
constexpr int64_t kClockOffsetMaxNs = (int64_t{1} << 61) + (int64_t{1} << 60);

// Live, a packet is at most as far from the clock as the kernel's buffer is long (20 ms until a
// block is handed over, seconds when the buffer is full). If it is further away, the machine's
// clock was set. A smaller step ends no connection, because idleness is judged in minutes.
constexpr int64_t kClockStepNs = 5ll * 1'000'000'000;

// A stream met in its middle in which this much held no message is taken for another protocol: it
// is looked at again only where a segment starts like a message.
constexpr uint64_t kSearchBytesMax = 1u << 20;

// Longest start line that is waited for after a head whose body may never come. It is the longest
// that the search for the next message judges as a whole, too.
constexpr uint32_t kUndecidedLineMax = 8192;

// A client that waited for so many responses before anything was lost is taken for one that always
// does.
constexpr uint32_t kWaitsSeen = 3;

// How much of a body is looked at to see that it is binary. Nearly every binary format shows itself
// in its first bytes.
constexpr uint32_t kBinarySampleMax = 512;

// Bytes of a stream that is not HTTP shown in its event.
constexpr uint32_t kSampleMax = 32;

// Decoding a body (decodeBodies) ends when its output is this many times its input. Deflate can
// reach 1032, but only for one byte repeated; text that people send stays below 200.
constexpr uint64_t kDecodeRatioMax = 512;

// The ratio is not looked at below this much output: what is cheap needs no judgement, and small
// pages of blanks are legitimate.
constexpr uint64_t kDecodeRatioFreeBytes = 1u << 20;

// Nor may a body take longer than this to decode, plus a time for each byte read and written. It
// stops streams that make much work of few bytes (thousands of empty blocks, each with its own
// code tables). Real ones run at 100 MB/s or more and take a tenth of it.
constexpr int64_t kDecodeTimeNs = 100'000'000;
constexpr int64_t kDecodeTimePerByteNs = 100;

// Bytes read and written between two looks at the clock.
constexpr uint64_t kDecodeClockBytes = 64u << 10;

// Segments a packet block carries: 256 x 128 bytes = 32 KiB, half of a small L1+L2 share, and
// 16 times what the queue's cost per block needs to disappear.
constexpr uint32_t kSegmentsPerBlock = 256;

// Directions of connections whose dropped segments are remembered until the next block goes to
// their shard. Either a block comes back within milliseconds, or the shard stands still and
// hundreds of thousands of segments are lost. Searching more notes then only costs time.
constexpr uint32_t kDropNotesMax = 64;

// Bytes of copied payload a live packet block carries: 256 full Ethernet frames.
constexpr uint32_t kBlockArenaBytes = 384u << 10;

// Bytes that a shard gets of every payload, even of one whose bytes are not needed: as much as is
// compared when bytes come again. A request line and the fields that matter most.
constexpr uint32_t kPayloadHeadBytes = 128;

// A body of which fewer bytes are still to come is not worth a note to the capture thread; and the
// directions that the notes of one block can name.
constexpr uint64_t kUnreadBytesMin = 64u << 10;
constexpr size_t kUnreadNotesMax = 16;

// The longest frame that libpcap captures of the link types that carry IP, its MAXIMUM_SNAPLEN.
constexpr uint32_t kSnaplenMax = 262144;

// A line block: large enough that a system call for each costs nothing, small enough that a handful
// per shard stays in the last-level cache.
constexpr uint32_t kLineBlockBytes = 256u << 10;

}  // namespace tcp_sniffer
