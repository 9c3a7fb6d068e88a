#include "core/line/connection_text.h"

#include "core/base/number_text.h"
#include "core/line/put_text.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {

char* write_endpoint(char* out, const Endpoint& endpoint) {
  out = write_ip(put(out, "{\"ip\":\""), endpoint.ip, endpoint.mapped_on_wire);
  out = write_unsigned(put(out, "\",\"port\":"), endpoint.port);
  return put(out, "}");
}

void ConnectionTexts::make(uint64_t connection_id, const Endpoint& receiver,
                           const Endpoint& destination, ConnectionText& text) {
  text.connection_id = connection_id;
  text.receiver = receiver;
  text.destination = destination;
  write_hex16(text.id.data(), connection_id);
  char* const begin = text.endpoints.data();
  char* end = put(write_endpoint(begin, receiver), ",\"destination\":");
  end = write_endpoint(end, destination);
  text.size = static_cast<uint8_t>(end - begin);
}

}  // namespace tcp_sniffer
