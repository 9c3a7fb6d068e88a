#include "options.h"

namespace tcp_sniffer::pcapgen {

const char* help_text() {
  return R"(Usage: pcapgen [OPTION]... --output=FILE
Write a capture of HTTP/1.1 traffic whose messages are known. Equal options give equal files.

Beside FILE it writes FILE.expected.json: what is in the capture, counted.

  -o, --output=FILE         the capture (pcap); '-' is standard output
  -w, --workload=NAME       bulk   60/30/10 % API JSON (0.3-4 KB), pages (10-60 KB), files
                                   (0.2-1 MB); 30 requests a connection (the default)
                            api    about 1.5 KB an exchange, 500 a connection, 8 % POST
                            short  one exchange a connection
                            idle   many open connections, a message now and then, never closed
                            mixed  all of these, with the disturbances of real networks
  -s, --size=SIZE           about this many bytes (500M, 65536), 1G unless given: exchanges
                            that are open then still come to their end; idle: no meaning
  -S, --seed=N              1 unless given
  -c, --concurrency=N       connections open at a time: 256, mixed 1000
      --connections=N       at most N connections; idle: exactly N, 1000000 unless given
      --exchanges=N         exchanges a connection; idle: exchanges over the whole capture, 2
      --expected=FILE       the counts go here instead
      --lines               also write FILE.expected.ndjson: one JSON object a message

Network
      --ports=LIST          server ports, 80 unless given
      --mtu=BYTES           256 to 9216, 1500 unless given
      --ipv6=FRACTION       of the connections
      --vlan=ID[,ID]        802.1Q tag, or 802.1ad and 802.1Q
      --rate=BITS           packet time advances at this rate, 1G unless given
      --nanosecond          nanosecond time stamps in the file
      --no-checksums        leave the TCP checksum 0, as offloading does
      --no-tcp-timestamps   without the TCP timestamps option

Disturbances (fractions of the packets; all 0 but in mixed)
      --fragments=FRACTION  of the packets with payload are sent as IP fragments
      --loss=FRACTION       missing in the capture though the receiver got them
      --reorder=FRACTION    captured later than sent, by up to
      --reorder-distance=N    N packets of their connection, 8 unless given
      --duplicate=FRACTION  captured twice, half of them later and with other borders
      --retransmit=FRACTION lost before the capture, retransmitted after duplicate ACKs
      --holes=N             every flight of 2N segments opens N holes before one is filled

HTTP
      --chunked=FRACTION    of the responses with a body
      --gzip=FRACTION       of the text responses
      --post=FRACTION       of the requests; api, short 0.08, mixed 0.1
      --bodyless=FRACTION   of the exchanges: HEAD, 204 or 304
      --until-close=FRACTION  of the last responses: the body ends with the connection
      --pipeline=N          up to N requests before the first response
      --resets=FRACTION     of the connections end with RST

Besides (fractions of the packets, garbage: of the connections)
      --syn-flood=FRACTION  SYNs from random addresses
      --port-scan=FRACTION  SYNs to one port after the other, and their RSTs
      --noise=FRACTION      ARP, UDP, ICMP and cut-off frames
      --garbage=FRACTION    connections that speak something else than HTTP
      --garbage-bytes=SIZE  bytes in such a connection, 65536 unless given

  -h, --help                this text
)";
}

}  // namespace tcp_sniffer::pcapgen
