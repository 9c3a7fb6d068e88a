#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer::pcapgen {

// One message, by where it stands in its batch.
struct Message {
  bool request = false;
  std::uint64_t begin = 0;       // offset of the start line in the batch
  std::uint64_t end = 0;         // one past the last byte
  std::size_t header_at = 0;     // start line and headers in Batch::text()
  std::size_t header_bytes = 0;  // with the empty line
  std::string_view body;         // as sent, without chunk framing
  std::uint64_t lost_bytes = 0;  // payload bytes missing in the capture
};

// What one side sends before the other side speaks again: messages as a list of pieces, of which
// the bodies point into Content and the rest stands in text(). Reused for the next batch, so it
// stops allocating after the first few.
class Batch {
 public:
  void clear() {
    text_.clear();
    pieces_.clear();
    messages.clear();
    bytes_ = 0;
    hint_ = 0;
  }

  std::uint64_t bytes() const { return bytes_; }
  const std::string& text() const { return text_; }

  void add_text(std::string_view text) {
    if (pieces_.empty() || pieces_.back().data != nullptr) {
      pieces_.push_back({nullptr, text_.size(), 0, bytes_});
    }
    pieces_.back().bytes += text.size();
    text_ += text;
    bytes_ += text.size();
  }

  // `data` must stay valid until clear().
  void add_view(std::string_view data) {
    if (data.empty()) return;
    pieces_.push_back({data.data(), 0, data.size(), bytes_});
    bytes_ += data.size();
  }

  // begin + bytes must not pass the end of the batch. Cheapest when read in order.
  void copy(std::uint64_t begin, std::size_t bytes, std::uint8_t* to) {
    if (bytes == 0) return;
    std::size_t at = find(begin);
    hint_ = at;
    while (bytes != 0) {
      const Piece& piece = pieces_[at];
      const std::size_t skip = static_cast<std::size_t>(begin - piece.begin);
      const std::size_t part = std::min(bytes, piece.bytes - skip);
      const char* const data = piece.data == nullptr ? text_.data() + piece.text_at : piece.data;
      std::memcpy(to, data + skip, part);
      to += part;
      begin += part;
      bytes -= part;
      ++at;
    }
  }

  std::vector<Message> messages;

 private:
  struct Piece {
    const char* data;  // null: in text_
    std::size_t text_at;
    std::size_t bytes;
    std::uint64_t begin;  // offset in the batch
  };

  std::size_t find(std::uint64_t offset) const {
    for (std::size_t at = hint_; at < pieces_.size() && at < hint_ + 3; ++at) {
      if (offset < pieces_[at].begin) break;
      if (offset - pieces_[at].begin < pieces_[at].bytes) return at;
    }
    const auto after = std::upper_bound(
        pieces_.begin(), pieces_.end(), offset,
        [](std::uint64_t value, const Piece& piece) { return value < piece.begin; });
    return static_cast<std::size_t>(after - pieces_.begin()) - 1;
  }

  std::string text_;
  std::vector<Piece> pieces_;
  std::uint64_t bytes_ = 0;
  std::size_t hint_ = 0;
};

}  // namespace tcp_sniffer::pcapgen
