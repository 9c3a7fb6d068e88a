#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

constexpr std::string_view kRedacted = "[redacted]";

// Which header values and query parameters must not leave the process (`redactHeaders`,
// `redactQuery`). Names are compared without regard to ASCII case, and query names after undoing
// percent-encoding, so that no spelling of a name slips through. One per line writer.
class Redaction {
 public:
  Redaction(const std::vector<std::string>& headers, const std::vector<std::string>& query);

  bool any_header() const { return !headers_.empty(); }
  bool covers_header(std::string_view name) const;

  // The request target with the values of the named query parameters replaced. A parameter begins
  // behind '?', '&' or ';' and its value ends at the next '&' or the end: in doubt too much is
  // hidden. The result is valid until the next call, or is `target` itself.
  std::string_view redact_target(std::string_view target);

 private:
  bool covers_parameter(std::string_view encoded_name);

  std::vector<std::string> headers_;  // lower case
  std::vector<std::string> query_;    // lower case
  std::string target_;
  std::string name_;
};

}  // namespace tcp_sniffer
