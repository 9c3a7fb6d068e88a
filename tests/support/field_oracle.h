#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/field/fields.h"
#include "support/run_program.h"

// The values of fields, found in full lines without the code that writes what is selected.
namespace tcp_sniffer::field_oracle {

// The requests of a run by connection and exchange.
using Requests = std::map<std::pair<std::string, uint64_t>, Json>;

inline Requests requests_in(const std::vector<Json>& lines) {
  Requests requests;
  for (const Json& line : lines) {
    if (line["direction"] == "request") requests[{line["connectionId"], line["exchange"]}] = line;
  }
  return requests;
}

inline Json at_path(const Json& line, std::string_view name) {
  const Json* value = &line;
  for (;;) {
    const size_t dot = name.find('.');
    const std::string key(name.substr(0, dot));
    if (!value->is_object() || !value->contains(key)) return {};
    value = &(*value)[key];
    if (dot == std::string_view::npos) return *value;
    name.remove_prefix(dot + 1);
  }
}

inline Json header_of(const Json& line, const std::string& group, const std::string& name) {
  if (!line.contains(group) || !line[group].contains(name)) return {};
  return line[group][name];
}

// What a line says of a field, found without the program's table; null: nothing.
inline Json value_in(const Json& line, std::string name, const Requests& requests) {
  const std::string direction = line["direction"];
  for (const std::string& side : {std::string("request"), std::string("response")}) {
    if (!name.starts_with(side + ".")) continue;
    name.erase(0, side.size() + 1);
    if (side == direction) continue;
    if (side == "response" || name != "bodySize" || !line.contains("latencyMs")) return {};
    return requests.at({line["connectionId"], line["exchange"]})["bodySize"];
  }
  for (const std::string& group : {std::string("headers"), std::string("trailers")}) {
    if (name.starts_with(group + ".")) return header_of(line, group, name.substr(group.size() + 1));
  }
  if (name == "contentType") return header_of(line, "headers", "content-type");
  if (name == "status")
    return line.contains("statusCode") ? line["statusCode"] : line.value("status", Json());
  if (direction == "request" || (name != "method" && name != "path" && name != "host")) {
    if (name != "host") return at_path(line, name);
    const Json host = header_of(line, "headers", "host");
    return host.is_array() ? host[0] : host;
  }
  if (!line.contains("exchange")) return {};
  const auto request = requests.find({line["connectionId"], line["exchange"]});
  return request == requests.end() ? Json() : value_in(request->second, name, requests);
}

inline Json selected_of(const Json& line, const std::vector<std::string>& names,
                        const Requests& requests) {
  Json object = Json::object();
  for (const std::string& name : names) {
    Json value = value_in(line, name, requests);
    if (!value.is_null()) object[name] = std::move(value);
  }
  return object;
}

// The same of the line of an exchange.
inline Json value_in_exchange(const Json& line, std::string name) {
  static const Json kNone = Json::object();
  const Json& request = line.contains("request") ? line["request"] : kNone;
  const Json& response = line.contains("response") ? line["response"] : kNone;
  if (name == "latencyMs") return response.empty() ? Json() : at_path(line, name);
  if (name == "interim") {
    Json codes;
    for (const Json& interim : line.value("interim", Json::array())) {
      codes.push_back(interim["statusCode"]);
    }
    return codes;
  }
  for (const FieldSpec& spec : field_table()) {
    const bool shared = spec.of == FieldOf::kConnection || spec.of == FieldOf::kExchange;
    if (shared && spec.name == name) return at_path(line, name);
  }
  const Json* part = &response;
  if (name.starts_with("response.")) {
    name.erase(0, 9);
  } else if (name.starts_with("request.")) {
    name.erase(0, 8);
    part = &request;
  } else if (name == "method" || name == "path" || name == "host" || name == "argument") {
    part = &request;
  }
  for (const std::string& group : {std::string("headers"), std::string("trailers")}) {
    if (name.starts_with(group + "."))
      return header_of(*part, group, name.substr(group.size() + 1));
  }
  if (name == "contentType") return header_of(*part, "headers", "content-type");
  if (name == "status" && part->contains("statusCode")) return (*part)["statusCode"];
  if (name != "host") return at_path(*part, name);
  const Json host = header_of(*part, "headers", "host");
  return host.is_array() ? host[0] : host;
}

}  // namespace tcp_sniffer::field_oracle
