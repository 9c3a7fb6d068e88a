#include "core/net/community_id.h"

#include <sha1.h>

#include <cstdint>
#include <cstring>
#include <tuple>

#include "core/base/base64.h"
#include "core/net/ip_decoder.h"

namespace tcp_sniffer {
namespace {

uint8_t* put_ip(uint8_t* out, const IpAddress& ip, bool v4) {
  const size_t skipped = v4 ? 12 : 0;
  std::memcpy(out, ip.data() + skipped, ip.size() - skipped);
  return out + ip.size() - skipped;
}

uint8_t* put_port(uint8_t* out, uint16_t port) {
  *out++ = static_cast<uint8_t>(port >> 8);
  *out++ = static_cast<uint8_t>(port & 0xff);
  return out;
}

}  // namespace

char* write_community_id(char* out, const Endpoint& a, const Endpoint& b) {
  const bool ordered = std::tie(a.ip, a.port) < std::tie(b.ip, b.port);
  const Endpoint& low = ordered ? a : b;
  const Endpoint& high = ordered ? b : a;
  const bool v4 = is_v4_mapped(low.ip) && is_v4_mapped(high.ip) && !low.mapped_on_wire;
  uint8_t input[40] = {0, 0};  // the seed
  uint8_t* end = put_ip(input + 2, low.ip, v4);
  end = put_ip(end, high.ip, v4);
  *end++ = kProtocolTcp;
  *end++ = 0;
  end = put_port(put_port(end, low.port), high.port);

  SHA1_CTX context;
  uint8_t digest[SHA1_DIGEST_LENGTH];
  SHA1Init(&context);
  SHA1Update(&context, input, static_cast<size_t>(end - input));
  SHA1Final(digest, &context);
  std::memcpy(out, "1:", 2);
  return write_base64(out + 2, {reinterpret_cast<const char*>(digest), sizeof digest});
}

}  // namespace tcp_sniffer
