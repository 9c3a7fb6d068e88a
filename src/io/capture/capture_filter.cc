#include "io/capture/capture_filter.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <optional>
#include <utility>

#include "core/base/byte_order.h"
#include "core/base/characters.h"
#include "core/base/limits.h"
#include "core/net/frame_decoder.h"
#include "io/base/capture_magic.h"
#include "io/base/printable.h"

namespace tcp_sniffer {

namespace {

// Later fragments have no ports; libpcap's `tcp` stops at the Authentication Header and at IPv6
// extension headers: hop-by-hop options, routing, fragment, destination options, mobility, HIP,
// Shim6.
constexpr std::string_view kFragmentsAndExtensions =
    "(ip[6:2] & 0x1fff != 0 or ip[9] = 51) or "
    "(ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 51 or ip6[6] = 60 or ip6[6] = 135 or "
    "ip6[6] = 139 or ip6[6] = 140)";

// What the tunnel decoders understand: IP in IP, 6in4, GRE, EtherIP, MPLS and Ethernet in IP, and
// over UDP VXLAN, GENEVE, GTP-U, Teredo, L2TP and AYIYA. Teredo also between other ports: IPv6 with
// an address in 2001::/32 at the payload's beginning, or after an origin indication, an empty
// authentication, or both.
constexpr std::string_view kTunnels =
    "ip proto 4 or ip proto 41 or ip proto 47 or ip proto 97 or ip proto 137 or "
    "ip6 proto 4 or ip6 proto 41 or ip6 proto 47 or ip6 proto 97 or ip6 proto 137 or "
    "ip6 proto 143 or "
    "udp port 4789 or udp port 8472 or udp port 6081 or udp port 2152 or udp port 3544 or "
    "udp port 1701 or udp port 5072 or "
    "(udp[8] & 0xf0 = 0x60 and (udp[16:4] = 0x20010000 or udp[32:4] = 0x20010000)) or "
    "(udp[8:2] = 0 and udp[16] & 0xf0 = 0x60 and "
    "(udp[24:4] = 0x20010000 or udp[40:4] = 0x20010000)) or "
    "(udp[8:4] = 0x00010000 and udp[21] & 0xf0 = 0x60 and "
    "(udp[29:4] = 0x20010000 or udp[45:4] = 0x20010000)) or "
    "(udp[8:4] = 0x00010000 and udp[21:2] = 0 and udp[29] & 0xf0 = 0x60 and "
    "(udp[37:4] = 0x20010000 or udp[53:4] = 0x20010000))";

// What the link's decoders open and libpcap's `tcp` does not look into: MPLS, PPPoE sessions, PPP,
// provider backbone bridges, Ethernet in Ethernet, a VLAN tag that libpcap does not know, and LLC
// with SNAP or IP. All such frames are let in, because libpcap's words for MPLS and PPPoE cover
// less than the decoders, and for the rest it has no words.
constexpr std::string_view kLinkEncapsulations =
    "ether proto 0x8847 or ether proto 0x8848 or ether proto 0x8864 or ether proto 0x880b or "
    "ether proto 0x88e7 or ether proto 0x6558 or ether proto 0x9200 or "
    "ether proto 0xaa or ether proto 6";

// `vlan` and similar words move every offset after them, so they cannot be part of a larger filter.
constexpr std::array<std::string_view, 5> kRefusedWords = {"vlan", "mpls", "pppoes", "geneve",
                                                           "vxlan"};

constexpr std::string_view kTagged =
    "ether proto 0x8100 or ether proto 0x88a8 or ether proto 0x9100";

std::string both(const std::string& left, std::string_view right) {
  return "(" + left + ") and (" + std::string(right) + ")";
}

// The word of kRefusedWords that the filter has, if any.
std::optional<std::string_view> refused_word(std::string_view filter) {
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
  };
  for (size_t begin = 0; begin < filter.size();) {
    if (!is_word(filter[begin])) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < filter.size() && is_word(filter[end])) ++end;
    const auto* const found =
        std::find(kRefusedWords.begin(), kRefusedWords.end(), filter.substr(begin, end - begin));
    if (found != kRefusedWords.end()) return *found;
    begin = end;
  }
  return {};
}

struct HandleCloser {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
using Handle = std::unique_ptr<pcap_t, HandleCloser>;

// A handle to compile on. For files, one that has read an empty capture: libpcap then takes into
// account that the frames may be of another system (loopback headers) and have no packet type.
Handle compiling_handle(LinkType link_type, CaptureFilter::Use use) {
  if (use == CaptureFilter::Use::kLive) {
    return Handle(pcap_open_dead(dlt_of_link_type(link_type), int{kSnaplenMax}));
  }
  std::array<uint32_t, 6> header = {
      kPcapMagicMicro, 0x00040002, 0, 0, kSnaplenMax, static_cast<uint32_t>(link_type)};
  static_assert(sizeof header == 24);
  FILE* file = fmemopen(header.data(), sizeof header, "rb");
  if (file == nullptr) return nullptr;
  std::array<char, PCAP_ERRBUF_SIZE> words{};
  Handle handle(pcap_fopen_offline(file, words.data()));
  if (handle == nullptr) std::fclose(file);
  return handle;
}

std::variant<FilterProgram, Problem> compile_text(pcap_t* handle, const std::string& text) {
  auto program = std::make_unique<bpf_program>();
  constexpr int kOptimize = 1;
  if (pcap_compile(handle, program.get(), text.c_str(), kOptimize, PCAP_NETMASK_UNKNOWN) != 0) {
    return Problem{ErrorCode::kInvalidConfig, "", pcap_geterr(handle)};
  }
  return FilterProgram(std::move(program));
}

// libpcap's error for the user's filter alone; empty when it is good. Some words only make sense on
// some link types, so it is enough if one of them accepts the filter. The error is Ethernet's.
std::string judge(const std::string& user, CaptureFilter::Use use) {
  std::string complaint;
  for (const LinkType link_type :
       {LinkType::kEthernet, LinkType::kRaw, LinkType::kLinuxSll, LinkType::kIeee80211Radiotap}) {
    const Handle handle = compiling_handle(link_type, use);
    if (handle == nullptr) return "out of memory";
    const auto result = compile_text(handle.get(), user);
    if (std::holds_alternative<FilterProgram>(result)) return "";
    if (complaint.empty()) complaint = std::get<Problem>(result).words;
  }
  return complaint;
}

using PortRange = std::pair<uint16_t, uint16_t>;  // first and last

std::vector<PortRange> port_ranges(std::vector<uint16_t> ports) {
  std::sort(ports.begin(), ports.end());
  std::vector<PortRange> ranges;
  for (const uint16_t port : ports) {
    if (ranges.empty() || port > ranges.back().second + 1) {
      ranges.emplace_back(port, port);
    } else {
      ranges.back().second = port;
    }
  }
  return ranges;
}

// Where the header of a link type that can have encapsulations ends, and where its Ethernet type
// is.
struct TypedHeader {
  uint32_t size = 0;
  uint32_t type_at = 0;
};

std::optional<TypedHeader> typed_header(LinkType link_type) {
  switch (link_type) {
    case LinkType::kEthernet:
      return TypedHeader{14, 12};
    case LinkType::kLinuxSll:
      return TypedHeader{16, 14};
    case LinkType::kLinuxSll2:
      return TypedHeader{20, 0};
    default:
      return {};
  }
}

constexpr uint16_t kIpv4 = 0x0800;
constexpr uint16_t kIpv6 = 0x86dd;

bool is_ip_type(uint16_t type) {
  return type == kIpv4 || type == kIpv6;
}

}  // namespace

FilterProgram::FilterProgram(std::unique_ptr<bpf_program> program) : program_(std::move(program)) {}
FilterProgram::FilterProgram(FilterProgram&&) noexcept = default;
FilterProgram& FilterProgram::operator=(FilterProgram&& other) noexcept {
  std::swap(program_, other.program_);
  return *this;
}
FilterProgram::~FilterProgram() {
  if (program_ != nullptr) pcap_freecode(program_.get());
}

size_t FilterProgram::instructions() const {
  return program_->bf_len;
}

bool FilterProgram::matches(std::span<const uint8_t> data, uint32_t wire_size) const {
  return bpf_filter(program_->bf_insns, data.data(), wire_size, static_cast<u_int>(data.size())) !=
         0;
}

std::variant<CaptureFilter, Problem> CaptureFilter::make(Options options) {
  if (without_space(options.user).empty()) options.user.clear();
  if (!options.user.empty()) {
    const auto rejected = [&](const std::string& words) {
      const std::string shown = quote_text(options.user, CaptureFilter::kFilterShownMax);
      return Problem{ErrorCode::kInvalidConfig, "filter: " + shown + " ", words};
    };
    if (const auto word = refused_word(options.user)) {
      return rejected(
          "has the word " + std::string(*word) +
          ", which moves the offsets of all that follows it; allowed: a filter without it "
          "(tagged frames are captured anyway, and the filter is applied after their tags)");
    }
    if (options.user.find('\0') != std::string::npos) {
      return rejected("has a zero byte; allowed: a filter as in the manual page pcap-filter");
    }
    if (const std::string words = judge(options.user, options.use); !words.empty()) {
      return rejected("is refused by libpcap: " + words +
                      "; allowed: a filter as in the manual page pcap-filter");
    }
  }
  return CaptureFilter(std::move(options));
}

std::string port_clause(std::vector<uint16_t> ports) {
  if (ports.empty()) return "tcp";
  std::string text;
  for (const auto& [first, last] : port_ranges(std::move(ports))) {
    if (!text.empty()) text += " or ";
    text += first == last ? "tcp port " + std::to_string(first)
                          : "tcp portrange " + std::to_string(first) + "-" + std::to_string(last);
  }
  return text;
}

// For frames in which IP follows the link's header. With U the user's filter, C the ports, later
// fragments and extension headers, T the tunnels: for files U, live (U and C) or T.
std::string CaptureFilter::plain_text(bool with_ports) const {
  if (options_.use == Use::kFiles) return options_.user;
  const std::string ports = with_ports ? port_clause(options_.ports) : "tcp";
  std::string text = "(" + ports + ") or " + std::string(kFragmentsAndExtensions);
  if (!options_.user.empty()) text = both(options_.user, text);
  if (options_.tunnels) {
    text = "(" + text + ") or " + std::string(kTunnels);
    // The later fragments of tunnel packets, which the user's filter must not keep out.
    if (!options_.user.empty()) text += " or " + std::string(kFragmentsAndExtensions);
  }
  return text;
}

// Live, with L the plain text and E the encapsulations: L or E, and on Ethernet the same after one
// and two tags; after a third tag everything. Plain traffic comes first, so it passes no other
// test.
std::string CaptureFilter::text(LinkType link_type, bool with_ports) const {
  std::string plain = plain_text(with_ports);
  if (options_.use == Use::kFiles || !typed_header(link_type)) return plain;
  const std::string level = "(" + plain + ") or " + std::string(kLinkEncapsulations);
  std::string tagged = level + " or " + std::string(kTagged);
  // libpcap has no `vlan` for cooked captures.
  if (link_type != LinkType::kEthernet) return tagged;
  return level + " or (vlan and (" + level + " or (vlan and (" + tagged + "))))";
}

std::variant<CaptureFilter::Compiled, Problem> CaptureFilter::compile(pcap* handle,
                                                                      LinkType link_type) const {
  if (options_.use == Use::kLive && link_type == LinkType::kNflog) {
    auto everything = compile_text(handle, "");
    if (auto* problem = std::get_if<Problem>(&everything)) return std::move(*problem);
    return Compiled{std::move(std::get<FilterProgram>(everything)), ""};
  }
  const bool has_ports = options_.use == Use::kLive && !options_.ports.empty();
  const bool tries_ports = has_ports && port_ranges(options_.ports).size() <= kPortClausesMax;
  std::string words = text(link_type, tries_ports);
  auto result = compile_text(handle, words);
  const auto* program = std::get_if<FilterProgram>(&result);
  if (tries_ports && (program == nullptr || program->instructions() > kInstructionsMax)) {
    // Too much for the kernel: all of TCP, and the dispatcher chooses.
    words = text(link_type, false);
    result = compile_text(handle, words);
  }
  if (auto* problem = std::get_if<Problem>(&result)) return std::move(*problem);
  return Compiled{std::move(std::get<FilterProgram>(result)), std::move(words)};
}

std::variant<CaptureFilter::Compiled, Problem> CaptureFilter::compile(LinkType link_type) const {
  const Handle handle = compiling_handle(link_type, options_.use);
  if (handle == nullptr) return Problem{ErrorCode::kInternal, "", "out of memory"};
  return compile(handle.get(), link_type);
}

bool CaptureFilter::matches(const Frame& frame) {
  if (passes_everything()) return true;
  if (options_.use == Use::kLive && frame.link_type == LinkType::kNflog) [[unlikely]] {
    const std::span<const uint8_t> ip = ip_packet_of(frame.link_type, frame.data, frame.wire_size);
    const FilterProgram* of_ip = program_for(LinkType::kRaw);
    return !ip.empty() && of_ip != nullptr && of_ip->matches(ip, static_cast<uint32_t>(ip.size()));
  }
  const auto header = typed_header(frame.link_type);
  const bool is_encapsulated = header && frame.data.size() >= header->size &&
                               !is_ip_type(load_be16(frame.data.data() + header->type_at));
  // Live, the kernel has applied it to plain frames.
  if (options_.use == Use::kLive && !is_encapsulated) return true;
  const FilterProgram* program = program_for(frame.link_type);
  if (program == nullptr) return false;
  if (is_encapsulated) {
    const std::span<const uint8_t> ip = ip_packet_of(frame.link_type, frame.data, frame.wire_size);
    if (!ip.empty())
      return program->matches(plain_frame(frame, header->size, header->type_at, ip),
                              frame.wire_size);
  }
  return program->matches(frame.data, frame.wire_size);
}

// The frame without what stands between the link's header and IP.
std::span<const uint8_t> CaptureFilter::plain_frame(const Frame& frame, size_t header_size,
                                                    size_t type_at, std::span<const uint8_t> ip) {
  plain_frame_.assign(frame.data.begin(), frame.data.begin() + static_cast<ptrdiff_t>(header_size));
  const uint16_t type = ip[0] >> 4 == 6 ? kIpv6 : kIpv4;
  plain_frame_[type_at] = static_cast<uint8_t>(type >> 8);
  plain_frame_[type_at + 1] = static_cast<uint8_t>(type);
  plain_frame_.insert(plain_frame_.end(), ip.begin(), ip.end());
  return plain_frame_;
}

const FilterProgram* CaptureFilter::program_for(LinkType link_type) {
  for (const Slot& slot : slots_) {
    if (slot.link_type == link_type) return slot.program.get();
  }
  slots_.push_back({link_type, nullptr});
  const Handle handle = compiling_handle(link_type, options_.use);
  if (handle == nullptr) return nullptr;
  auto result = compile_text(handle.get(), plain_text(false));
  if (auto* program = std::get_if<FilterProgram>(&result)) {
    slots_.back().program = std::make_unique<FilterProgram>(std::move(*program));
    return slots_.back().program.get();
  }
  const std::string& words = std::get<Problem>(result).words;
  // A filter that nothing of this link type can pass is no mistake, and what no decoder reads is
  // left out anyway.
  if (on_problem_ && is_supported(link_type) &&
      words.find("rejects all packets") == std::string::npos) {
    on_problem_(link_type, "filter: " + quote_text(options_.user, kFilterShownMax) +
                               " cannot be applied to it: " + words);
  }
  return nullptr;
}

int dlt_of_link_type(LinkType link_type) {
  return link_type == LinkType::kRaw ? DLT_RAW : static_cast<int>(link_type);
}

LinkType link_type_of_dlt(int dlt) {
  return dlt == DLT_RAW ? LinkType::kRaw : static_cast<LinkType>(dlt);
}

}  // namespace tcp_sniffer
