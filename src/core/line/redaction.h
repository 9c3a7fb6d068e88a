#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

constexpr std::string_view kRedacted = "[redacted]";

// Which header values and query parameters must not leave the process (`redactHeaders`,
// `redactQuery`). Names are compared as the most lenient reader would: no spelling of a name slips
// through, and in doubt too much is hidden. One per line writer.
class Redaction {
 public:
  static constexpr int kDecodingsMax = 4;  // encodings of encodings that are undone

  Redaction(const std::vector<std::string>& headers, const std::vector<std::string>& query);

  bool any_header() const { return !headers_.empty(); }
  // Without regard to case, to blanks, control characters and bytes beyond ASCII, and to whether
  // '-' or '_' is written.
  bool covers_header(std::string_view name) const;
  // The name is covered, or the value holds the line of a covered name: line breaks that not
  // everybody reads as such.
  bool covers_field(std::string_view name, std::string_view value) const;

  // The request target with the values of the named parameters replaced, wherever they stand: in
  // the query, in front of it, in a fragment, in another parameter's value. A value ends at the
  // next '&' or the end, in front of the query also at its '?'. Names are compared without regard
  // to case, after undoing the encodings (%74, %u0074, +, repeatedly), without blanks around and
  // without an index (token[], token[a]); '.', '-', '_' and a blank are the same, as some servers
  // read them. With anything to redact the user and password of an absolute target or an authority
  // are replaced, too. The result is valid until the next call, or is `target` itself.
  std::string_view redact_target(std::string_view target);

 private:
  bool covers_parameter(std::string_view name) const;
  bool holds_parameter(std::string_view decoded) const;
  size_t redact_userinfo(std::string_view target);
  size_t redact_value(std::string_view target, size_t from);

  std::vector<std::string> headers_;  // canonical
  std::vector<std::string> query_;    // canonical
  std::string target_;                // in the making
  std::string decoded_;
  bool in_path_ = false;  // of the target: no '?' or '#' yet
};

}  // namespace tcp_sniffer
