// PackedRecordWriter: the parts of a record, which few messages have.

#include "core/base/text_encoding.h"
#include "core/line/packed_build.h"
#include "core/net/community_id.h"

namespace tcp_sniffer {
namespace {

using packed::HeaderEntry;
using packed::little_endian;
using packed::Part;
using packed::Place;
using packed::place_of;

template <typename Plain>
void append_plain(const Plain& plain, LineSink& sink) {
  char* out = sink.reserve(sizeof(plain));
  std::memcpy(out, &plain, sizeof(plain));
  sink.commit(out + sizeof(plain));
}

}  // namespace

void PackedRecordWriter::Record::begin_part() {
  align();
  part_begin_ = size();
}

void PackedRecordWriter::Record::end_part(packed::PartTag tag, size_t end) {
  const Place place = place_of(part_begin_, end - part_begin_);
  parts_[parts_size_++] = {little_endian(uint32_t{tag}), place.offset, place.length, 0};
}

void PackedRecordWriter::Record::add_parts(const Message& message, const Message& whole,
                                           bool of_connection_alone) {
  if (message.part != 0 || message.last_part) [[unlikely]]
    add_part_number(message);
  if (!of_connection_alone) {
    if (!message.trailers.empty()) [[unlikely]]
      add_trailers(message);
    if (message.missing_bytes != 0 || !message.body_gaps.empty()) [[unlikely]]
      add_losses(message);
    if (!message.content_decoded.empty()) {
      begin_part();
      append_verbatim(message.content_decoded, sink_);
      end_part(packed::kContentDecoded);
    }
  }
  if (message.client.is_known) {
    begin_part();
    append_plain(message.client.ip, sink_);
    end_part(packed::kClient);
  }
  if (message.proxied != nullptr) [[unlikely]]
    add_proxied(*message.proxied);
  const bool is_selected = fields_ != nullptr;
  if (is_selected ? fields_->has_any({Field::kFirstFrame, Field::kLastFrame, Field::kConnectMs,
                                      Field::kHeadersSize, Field::kVlan, Field::kCommunityId})
                  : writer_.options_.extended) {
    add_extended(message, whole);
  }
  if (is_selected ? fields_->has(Field::kInterface) : writer_.options_.extended) {
    add_interface(of_connection_alone ? message.shared_link_id : message.link_id);
  }
  if (parts_size_ == 0) return;
  align();
  fixed_.parts = place_of(size(), parts_size_);
  for (const Part& part : std::span(parts_).first(parts_size_)) append_plain(part, sink_);
}

void PackedRecordWriter::Record::add_part_number(const Message& message) {
  packed::PartNumber part;
  part.number = little_endian(message.part);
  part.is_last = little_endian(uint32_t{message.last_part});
  begin_part();
  append_plain(part, sink_);
  end_part(packed::kPart);
}

// As visit_value gives it.
void PackedRecordWriter::Record::add_of_request(const Message& response) {
  using Of = packed::OfRequest;
  Of part;
  uint32_t has = 0;
  if (fields_->has_of_request(Field::kBodySize) && response.has_latency) {
    has |= Of::kBodySize;
    part.body_size = little_endian(response.request_body_size);
  }
  const bool is_known = !response.request_method.empty();
  std::string_view texts[3];
  const auto take = [&](size_t which, std::string_view text, Of::Has there, Of::Has latin1) {
    texts[which] = text;
    has |= there;
    if (!is_utf8(text)) has |= latin1;
  };
  if (is_known && fields_->has_of_request(Field::kMethod)) {
    take(0, response.request_method, Of::kMethod, Of::kMethodIsLatin1);
  }
  if (is_known && fields_->has_of_request(Field::kPath) && response.protocol.empty()) {
    take(1, response.request_target, Of::kPath, Of::kPathIsLatin1);
  }
  if (is_known && fields_->has_of_request(Field::kHost) && !response.request_host.empty()) {
    take(2, response.request_host, Of::kHost, Of::kHostIsLatin1);
  }
  if (has == 0) return;
  part.has = little_endian(has);
  part.method_length = little_endian(static_cast<uint32_t>(texts[0].size()));
  part.path_length = little_endian(static_cast<uint32_t>(texts[1].size()));
  part.host_length = little_endian(static_cast<uint32_t>(texts[2].size()));
  begin_part();
  append_plain(part, sink_);
  for (const std::string_view text : texts) append_verbatim(text, sink_);
  end_part(packed::kOfRequest);
}

void PackedRecordWriter::Record::add_trailers(const Message& message) {
  begin_part();
  const Place list = add_fields(message.trailers);
  end_part(packed::kTrailers, part_begin_ + little_endian(list.length) * sizeof(HeaderEntry));
}

void PackedRecordWriter::Record::add_losses(const Message& message) {
  begin_part();
  append_plain(little_endian(message.missing_bytes), sink_);
  for (const BodyGap& gap : message.body_gaps) {
    append_plain(little_endian(gap.offset), sink_);
    append_plain(little_endian(gap.length), sink_);
  }
  end_part(packed::kLosses);
}

void PackedRecordWriter::Record::add_proxied(const ProxiedEndpoints& proxied) {
  packed::Proxied part;
  part.source_ip = proxied.source.ip;
  part.destination_ip = proxied.destination.ip;
  part.source_port = little_endian(proxied.source.port);
  part.destination_port = little_endian(proxied.destination.port);
  if (proxied.tls) part.flags |= packed::Proxied::kTls;
  if (proxied.source.mapped_on_wire) part.flags |= packed::Proxied::kSourceIsMapped;
  if (proxied.destination.mapped_on_wire) part.flags |= packed::Proxied::kDestinationIsMapped;
  begin_part();
  append_plain(part, sink_);
  end_part(packed::kProxied);
}

void PackedRecordWriter::Record::add_extended(const Message& message, const Message& whole) {
  packed::Extended part;
  part.first_frame = little_endian(message.first_frame);
  part.last_frame = little_endian(message.last_frame);
  part.connect_ns = little_endian(message.connect_ns);
  part.headers_size = little_endian(message.headers_size);
  part.vlan = little_endian(message.vlan);
  if (has(Field::kCommunityId)) {
    write_community_id(part.community_id, whole.receiver, whole.destination);
  }
  begin_part();
  append_plain(part, sink_);
  end_part(packed::kExtended);
}

void PackedRecordWriter::Record::add_interface(uint16_t link_id) {
  const std::string_view name = writer_.options_.link_name(link_id);
  if (name.empty()) return;
  begin_part();
  append_verbatim(name, sink_);
  end_part(packed::kInterface);
  if (!is_utf8(name)) flags_ |= packed::kInterfaceIsLatin1;
}

}  // namespace tcp_sniffer
