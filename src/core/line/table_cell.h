#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/line/line_sink.h"

namespace tcp_sniffer {

// Makes the cells of `format: tsv` and `csv`. Texts are escaped as in JSON, except quotes, and a
// text that a spreadsheet would take for a formula gets an apostrophe in front. In csv (RFC 4180) a
// cell with a comma, a quote or a blank at an end is quoted; in tsv nothing is, and a quote at the
// beginning, which readers might take for quoting, stays escaped. One per line writer.
class TableCells {
 public:
  explicit TableCells(bool csv) : csv_(csv) {}

  char separator() const { return csv_ ? ',' : '\t'; }
  // RFC 4180 section 2.1 ends lines with CRLF.
  std::string_view row_end() const { return csv_ ? "\r\n" : "\n"; }
  // What a row of nothing is: a line with nothing on it would be no row for most readers of csv.
  std::string_view empty_row() const { return csv_ ? "\"\"" : ""; }

  // Makes a cell of the JSON value that the line has from `start` on.
  void finish(size_t start, LineSink& sink);
  // Makes and commits a cell of the text that stands, not committed, at the line's end, has nothing
  // that is escaped, and room for two bytes more after it. False: nothing was done, because it
  // would be taken for a formula.
  bool finish_plain(char* cell, size_t size, LineSink& sink) const;
  // Appends a text that needs no escapes, as the name of a column.
  void append_name(std::string_view name, std::string& row) const;

 private:
  void finish_json(size_t start, LineSink& sink);
  void finish_text(size_t start, LineSink& sink);

  const bool csv_;
  std::string cell_;  // being made
};

}  // namespace tcp_sniffer
