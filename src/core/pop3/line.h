#pragma once

#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// Reading of single POP3 lines (RFC 1939 section 3, RFC 2449, RFC 5034). Pure functions; views
// point into the argument.

enum class Pop3Verb : uint8_t {
  kOther,      // answered with one line
  kMultiLine,  // answered with many: RETR, TOP, CAPA, and LIST and UIDL without a number
  kSecret,     // PASS, APOP, AUTH: the argument must not be shown
  kAuth,       // kSecret, and lines without a verb follow
  kStls,       // a tunnel when it succeeds (RFC 2595)
  kUnknown,    // no command of POP3
};

struct Pop3Command {
  Pop3Verb verb = Pop3Verb::kUnknown;
  std::string_view name;      // as sent, without blanks in front
  std::string_view argument;  // the rest of the line, may be empty
  bool irregular = false;     // blanks in front, or something else than a space after the name
};

// A whole line without its line end. Any blank or control character is passed over before the
// command and ends it: no server's reading finds a command where this one does not.
Pop3Command read_pop3_command(std::string_view line);

enum class Pop3Status : uint8_t {
  kNone,      // no reply line
  kOk,        // +OK
  kError,     // -ERR
  kContinue,  // "+ ": the server asks for more (RFC 5034 section 4)
};

struct Pop3Reply {
  Pop3Status status = Pop3Status::kNone;
  std::string_view text;
};

Pop3Reply read_pop3_reply(std::string_view line);

}  // namespace tcp_sniffer
