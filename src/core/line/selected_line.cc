#include "core/line/selected_line.h"

#include <algorithm>
#include <cstring>

#include "core/base/number_text.h"
#include "core/field/field_words.h"
#include "core/line/framed_line.h"
#include "core/line/held_values.h"

namespace tcp_sniffer {
namespace {

// Bytes of the message's head may stand in the value.
bool is_of_head(const FieldRef& ref) {
  switch (ref.field) {
    case Field::kMethod:
    case Field::kPath:
    case Field::kHost:
    case Field::kArgument:
    case Field::kStatus:
    case Field::kStatusText:
    case Field::kHeaders:
    case Field::kRawHeaders:
    case Field::kTrailers:
    case Field::kContentType:
    case Field::kLatin1:
      return true;
    default:
      return false;
  }
}

}  // namespace

SelectedLineWriter::SelectedLineWriter(const LineOptions& options, const EscapeKernels& kernels,
                                       HeaderObjectWriter& headers)
    : options_(options),
      format_(options.format),
      headers_(headers),
      strings_(kernels),
      cells_(options.format == LineOptions::kCsv) {
  fixed_size_ = 2 * kShortPartMax;
  if (options.link_names != nullptr) {
    fixed_size_ = std::max(fixed_size_, escaped_size_max(LinkNames::kNameBytesMax));
  }
  fixed_size_ *= 2;
  for (const FieldRef& ref : options.select) {
    Column column{ref, ",\"" + ref.name + "\":", 0};
    if (ref.field == Field::kBody) {
      // In an exchange's frame the bytes of both bodies follow the JSON one after the other.
      if (format_ == LineOptions::kFramed && options.by_exchange) {
        column.key = ",\"" + ref.name + "Bytes\":";
      }
      body_copies_++;
    } else if (is_of_head(ref)) {
      head_copies_++;
    }
    selects_interim_ |= ref.field == Field::kInterim;
    // The name again in `latin1` and in that of request and response.
    fixed_size_ += 4 * column.key.size() + kShortPartMax;
    column.key_size = column.key.size();
    column.key.resize(std::max(column.key_size, kKeyPiece));
    columns_.push_back(std::move(column));
  }
}

std::string SelectedLineWriter::head(const std::vector<FieldRef>& select,
                                     LineOptions::Format format) {
  const TableCells cells(format == LineOptions::kCsv);
  std::string row;
  for (const FieldRef& ref : select) {
    if (!row.empty()) row += cells.separator();
    cells.append_name(ref.name, row);
  }
  return row.append(cells.row_end());
}

void SelectedLineWriter::write(const Message& message, LineSink& sink) {
  const bool request = message.direction == MessageDirection::kRequest;
  latin1_.clear();
  latin1_of_request_ = request ? SIZE_MAX : 0;
  if (is_table()) {
    return write_row([&](const Column& column) { return append_cell(column, message, sink); },
                     sink);
  }
  const auto append = [&](const Column& column) { return append_member(column, message, sink); };
  if (format_ == LineOptions::kFramed) {
    const FramedMessage frame(sink);
    write_object(append, sink);
    frame.finish({framed_body(request ? FieldOf::kRequest : FieldOf::kResponse, message)}, sink);
  } else {
    write_object(append, sink);
    append_verbatim("\n", sink);
  }
}

template <class Append>
void SelectedLineWriter::write_object(const Append& append, LineSink& sink) {
  const size_t begin = sink.size();
  latin1_places_.clear();
  for (const Column& column : columns_) {
    if (column.ref.field == Field::kLatin1) {
      latin1_places_.push_back({sink.size(), &column});
    } else {
      append(column);
    }
  }
  insert_latin1(sink);
  if (sink.size() == begin) return append_verbatim("{}", sink);
  // The first comma has the place of the brace.
  *(sink.reserve(0) - (sink.size() - begin)) = '{';
  append_verbatim("}", sink);
}

template <class Append>
void SelectedLineWriter::write_row(const Append& append, LineSink& sink) {
  const char separator = cells_.separator();
  const size_t begin = sink.size();
  latin1_places_.clear();
  for (const Column& column : columns_) {
    if (column.ref.field == Field::kLatin1) {
      latin1_places_.push_back({sink.size(), &column});
    } else {
      append(column);
    }
    append_verbatim({&separator, 1}, sink);
  }
  insert_latin1(sink);
  cut_line(sink, sink.size() - 1);
  if (sink.size() == begin) append_verbatim(cells_.empty_row(), sink);
  append_verbatim(cells_.row_end(), sink);
}

inline void SelectedLineWriter::append_member(const Column& column, const Message& message,
                                              LineSink& sink) {
  const size_t start = sink.size();
  char* value = put_key(column, kShortPartMax, sink);
  if (!append_at(value, column, message, sink)) cut_line(sink, start);
}

// The bytes that belong after a frame's JSON. `of`: which message it is.
std::string_view SelectedLineWriter::framed_body(FieldOf of, const Message& message) const {
  const bool is_selected = std::any_of(columns_.begin(), columns_.end(), [&](const Column& column) {
    return column.ref.field == Field::kBody && is_of(column, of);
  });
  return is_selected ? framed_bytes(message) : std::string_view{};
}

// ---------------------------------------------------------------- exchanges

// A field of either is the response's.
bool SelectedLineWriter::is_of(const Column& column, FieldOf of) const {
  return column.ref.of == of ||
         (column.ref.of == FieldOf::kEither && (!options_.by_exchange || of == FieldOf::kResponse));
}

// Of a request the values are finished, without keys and separators; the last one has the names of
// `latin1`. An interim response leaves its status code.
std::string_view SelectedLineWriter::write_part(const Message& message, LineSink& sink) {
  if (message.direction != MessageDirection::kRequest) {
    if (selects_interim_) append_status(message, sink);
    return {};
  }
  latin1_.clear();
  for (const Column& column : columns_) {
    if (column.ref.of != FieldOf::kRequest || column.ref.field == Field::kLatin1) continue;
    HeldValues::put(sink, [&] { append_value(column, message, sink); });
  }
  HeldValues::put_last(sink, [&] { append_verbatim(latin1_.view(), sink); });
  return format_ == LineOptions::kFramed ? framed_body(FieldOf::kRequest, message)
                                         : std::string_view{};
}

void SelectedLineWriter::write_exchange(const ExchangeParts& parts, LineSink& sink) {
  std::string_view request_text = parts.request_text;
  std::string_view request_body = parts.request_body;
  if (parts.request != nullptr) {
    part_.clear();
    request_body = write_part(*parts.request, part_);
    request_text = part_.view();
  }
  HeldValues held(request_text);
  latin1_.clear();
  append_verbatim(held.last(), latin1_);
  latin1_of_request_ = held.last().size();
  if (is_table()) {
    return write_row(
        [&](const Column& column) { return append_of_exchange(column, parts, held, sink); }, sink);
  }
  const auto append = [&](const Column& column) {
    const size_t start = sink.size();
    append_key(column, sink);
    if (!append_of_exchange(column, parts, held, sink)) cut_line(sink, start);
  };
  if (format_ == LineOptions::kFramed) {
    const FramedMessage frame(sink);
    write_object(append, sink);
    std::string_view response_body;
    if (parts.response != nullptr) {
      response_body = framed_body(FieldOf::kResponse, *parts.response);
    }
    frame.finish({request_body, response_body}, sink);
  } else {
    write_object(append, sink);
    append_verbatim("\n", sink);
  }
}

// The value, or the cell, without what stands around it.
bool SelectedLineWriter::append_of_exchange(const Column& column, const ExchangeParts& parts,
                                            HeldValues& held, LineSink& sink) {
  const size_t start = sink.size();
  switch (column.ref.of) {
    case FieldOf::kRequest:
      append_verbatim(held.next(), sink);
      return sink.size() > start;
    case FieldOf::kExchange:
      if (!append_own_of_exchange(column, parts, sink)) return false;
      if (is_table()) cells_.finish(start, sink);
      return true;
    case FieldOf::kConnection:
      if (column.ref.field == Field::kDirection) return false;
      if (column.ref.field == Field::kTimestamp && parts.has_request()) {
        sink.commit(put_time(sink.reserve(kShortPartMax), parts.request_first_ns));
        return true;
      }
      return append_value(column, *parts.about, sink);
    case FieldOf::kResponse:
    case FieldOf::kEither:
      return parts.response != nullptr && append_value(column, *parts.response, sink);
  }
  return false;
}

bool SelectedLineWriter::append_own_of_exchange(const Column& column, const ExchangeParts& parts,
                                                LineSink& sink) {
  switch (column.ref.field) {
    case Field::kTotalMs:
      if (parts.response == nullptr || !parts.has_request()) return false;
      sink.commit(
          write_milliseconds(sink.reserve(kShortPartMax),
                             elapsed_ns(parts.request_first_ns, parts.response->last_byte_ns)));
      return true;
    case Field::kOrphan:
      return append_word(orphan_word(parts.orphan.kind), sink);
    case Field::kOrphanCause:
      return append_word(incomplete_word(parts.orphan.cause), sink);
    case Field::kInterim:
      return append_interim(parts, sink);
    default:
      return false;
  }
}

bool SelectedLineWriter::append_interim(const ExchangeParts& parts, LineSink& sink) {
  if (parts.interim == nullptr && parts.interim_texts.empty()) return false;
  append_verbatim("[", sink);
  append_verbatim(parts.interim_texts, sink);
  if (parts.interim != nullptr) append_status(*parts.interim, sink);
  append_verbatim("]", sink);
  return true;
}

void SelectedLineWriter::append_status(const Message& message, LineSink& sink) {
  sink.commit(write_unsigned(sink.reserve(kShortPartMax), message.status));
}

// ---------------------------------------------------------------- latin1

void SelectedLineWriter::note_latin1(const Column& column) {
  append_word(column.ref.name, latin1_);
  append_verbatim(",", latin1_);
}

// `request.latin1` has the names of the request's fields.
std::string_view SelectedLineWriter::latin1_names(const Column& column) const {
  const std::string_view names = latin1_.view();
  if (column.ref.of == FieldOf::kEither) return names;
  const size_t of_request = std::min(latin1_of_request_, names.size());
  return column.ref.of == FieldOf::kRequest ? names.substr(0, of_request)
                                            : names.substr(of_request);
}

// From the last to the first, so that the places stay where they are.
void SelectedLineWriter::insert_latin1(LineSink& sink) {
  if (latin1_.size() == 0) return;
  for (size_t i = latin1_places_.size(); i-- > 0;) insert_latin1(latin1_places_[i], sink);
}

// After the place of a cell stands its separator.
void SelectedLineWriter::insert_latin1(const Latin1Place& place, LineSink& sink) {
  const std::string_view names = latin1_names(*place.column);
  if (names.empty()) return;
  scratch_.clear();
  if (!is_table()) append_key(*place.column, scratch_);
  const size_t start = scratch_.size();
  append_verbatim("[", scratch_);
  append_verbatim(names.substr(0, names.size() - 1), scratch_);
  append_verbatim("]", scratch_);
  if (is_table()) cells_.finish(start, scratch_);
  const std::string_view text = scratch_.view();
  const size_t behind = sink.size() - place.at;
  char* end = sink.reserve(text.size());
  std::memmove(end - behind + text.size(), end - behind, behind);
  std::memcpy(end - behind, text.data(), text.size());
  sink.commit(end + text.size());
}

}  // namespace tcp_sniffer
