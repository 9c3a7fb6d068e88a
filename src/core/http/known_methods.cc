#include "core/http/known_methods.h"

#include <algorithm>
#include <iterator>

namespace tcp_sniffer {

namespace {

// IANA's registry of methods, and those that captures of real networks hold beside it: UPnP, cache
// control, Exchange's WebDAV, RPC and SSTP over HTTP, BITS, System Center, Icecast.
constexpr std::string_view kKnownMethods[] = {
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "OPTIONS",
    "DELETE",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "QUERY",
    "PURGE",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "M-SEARCH",
    "ACL",
    "BIND",
    "UNBIND",
    "REBIND",
    "CHECKIN",
    "CHECKOUT",
    "UNCHECKOUT",
    "LABEL",
    "LINK",
    "UNLINK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "ORDERPATCH",
    "UPDATE",
    "BCOPY",
    "BDELETE",
    "BMOVE",
    "BPROPFIND",
    "BPROPPATCH",
    "POLL",
    "SOURCE",
    "TRACK",
    "DEBUG",
    "BAN",
    "REFRESH",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "BITS_POST",
    "CCM_POST",
    "BASELINE-CONTROL",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "SSTP_DUPLEX_POST",
};

}  // namespace

bool is_known_method(std::string_view method) {
  // The common ones first, without a loop over strings.
  switch (method.size()) {
    case 3:
      if (method == "GET" || method == "PUT") return true;
      break;
    case 4:
      if (method == "POST" || method == "HEAD") return true;
      break;
    default:
      break;
  }
  return std::find(std::begin(kKnownMethods), std::end(kKnownMethods), method) !=
         std::end(kKnownMethods);
}

bool begins_known_method(std::string_view bytes) {
  return std::any_of(std::begin(kKnownMethods), std::end(kKnownMethods),
                     [bytes](std::string_view method) { return method.starts_with(bytes); });
}

size_t known_method_suffix(std::string_view word) {
  size_t longest = 0;
  for (const std::string_view method : kKnownMethods) {
    if (method.size() > longest && word.ends_with(method)) longest = method.size();
  }
  return longest;
}

}  // namespace tcp_sniffer
