#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/run_program.h"

// The tables that the program writes as csv and tsv, read again.
namespace tcp_sniffer::table_rows {

// As `select` takes names of fields.
inline std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

// The rows of a table. csv as RFC 4180 has it, tsv without quotes.
inline std::vector<std::vector<std::string>> rows_of(const std::string& text, bool csv) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row(1);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (csv && c == '"') {
      for (++i; text[i] != '"' || text[i + 1] == '"'; ++i) {
        if (text[i] == '"') ++i;
        row.back() += text[i];
      }
    } else if (c == (csv ? ',' : '\t')) {
      row.emplace_back();
    } else if (c == '\n') {
      if (csv) {
        EXPECT_TRUE(row.back().ends_with('\r'));
        row.back().pop_back();
      }
      rows.push_back(std::move(row));
      row.assign(1, {});
    } else {
      row.back() += c;
    }
  }
  EXPECT_EQ(row, std::vector<std::string>(1)) << "the last row has no end";
  return rows;
}

// The cell of a value, made from the value itself.
inline std::string cell_of(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  std::string text = value.get<std::string>();
  const bool formula =
      !text.empty() && std::string_view("=+-@\t\r\n").find(text[0]) != std::string_view::npos;
  return (formula ? "'" : "") + text;
}

// Undoes the escapes of a cell that is a text.
inline std::string text_of(const std::string& cell) {
  std::string json = "\"";
  for (size_t i = 0; i < cell.size(); ++i) {
    if (cell[i] == '"') json += '\\';
    if (cell[i] == '\\') json += cell[i++];
    json += cell[i];
  }
  const Json parsed = Json::parse(json + "\"", nullptr, false);
  EXPECT_TRUE(parsed.is_string()) << cell;
  return parsed.is_string() ? parsed.get<std::string>() : "";
}

}  // namespace tcp_sniffer::table_rows
