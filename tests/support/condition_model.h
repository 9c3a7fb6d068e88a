#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <string>
#include <utility>
#include <vector>

// An obviously correct evaluator of conditions: random conditions, and what each means for the full
// lines of a request and its response, to which add_exchange was applied.
namespace tcp_sniffer::condition_model {

using Line = nlohmann::json;

// A condition as text, and whether it holds for the lines of a request and a response; nullptr:
// there is none.
struct Meaning {
  std::string text;
  std::function<bool(const Line*, const Line*)> holds;
};

enum class Of { kRequest, kResponse, kEither, kConnection, kExchange };

struct AskedField {
  std::string name;
  Of of;
  char type;  // n: number, m: milliseconds, t: text, a: address, f: there or not
};

inline const std::vector<AskedField>& asked_fields() {
  static const std::vector<AskedField> fields = {
      {"method", Of::kRequest, 't'},         {"path", Of::kRequest, 't'},
      {"host", Of::kRequest, 't'},           {"status", Of::kResponse, 'n'},
      {"statusText", Of::kResponse, 't'},    {"latencyMs", Of::kResponse, 'm'},
      {"httpVersion", Of::kEither, 't'},     {"headers.x-a", Of::kEither, 't'},
      {"trailers.x-a", Of::kEither, 't'},    {"contentType", Of::kEither, 't'},
      {"bodySize", Of::kEither, 'n'},        {"body", Of::kEither, 't'},
      {"bodyTruncated", Of::kEither, 'f'},   {"durationMs", Of::kEither, 'm'},
      {"incomplete", Of::kEither, 't'},      {"missingBytes", Of::kEither, 'n'},
      {"afterGap", Of::kEither, 'f'},        {"anomalies", Of::kEither, 't'},
      {"headersSize", Of::kEither, 'n'},     {"trailers", Of::kEither, 'f'},
      {"receiver.ip", Of::kConnection, 'a'}, {"receiver.port", Of::kConnection, 'n'},
      {"exchange", Of::kConnection, 'n'},    {"connectMs", Of::kConnection, 'm'},
      {"vlan", Of::kConnection, 'n'},        {"client", Of::kConnection, 'a'},
      {"totalMs", Of::kExchange, 'm'},       {"orphan", Of::kExchange, 't'},
      {"orphanCause", Of::kExchange, 't'},   {"interim", Of::kExchange, 'f'},
  };
  return fields;
}

// Adds what the line of their exchange says of the exchange to the lines of its messages.
inline void add_exchange(const Line& exchange, Line& message) {
  for (const char* name : {"totalMs", "orphan", "orphanCause", "interim"}) {
    if (exchange.contains(name)) message[name] = exchange[name];
  }
}

// The values that a line has of the field; of those that both messages have, without the prefix.
inline std::vector<Line> values_in(const Line& line, const std::string& name) {
  const Line* value = &line;
  std::string rest = name;
  for (const std::string group : {"headers.", "trailers.", "receiver.", "destination."}) {
    if (!rest.starts_with(group)) continue;
    const std::string object = group.substr(0, group.size() - 1);
    if (!line.contains(object)) return {};
    value = &line[object];
    rest.erase(0, group.size());
  }
  if (name == "contentType") return values_in(line, "headers.content-type");
  if (name == "host") {
    // The first one, unless it is empty.
    const std::vector<Line> hosts = values_in(line, "headers.host");
    if (hosts.empty() || hosts[0] == "") return {};
    return std::vector<Line>(1, hosts[0]);
  }
  if (name == "body" && line.contains("bodyEncoding")) return {};
  if (name == "status") rest = "statusCode";
  if (!value->contains(rest)) return {};
  const Line& found = (*value)[rest];
  if (!found.is_array()) return std::vector<Line>(1, found);
  return std::vector<Line>(found.begin(), found.end());
}

inline std::vector<Line> values_of(const AskedField& field, const Line* request,
                                   const Line* response) {
  std::vector<Line> values;
  if (request != nullptr && field.of != Of::kResponse) values = values_in(*request, field.name);
  const bool ask_response = field.of == Of::kResponse || field.of == Of::kEither ||
                            (field.of >= Of::kConnection && request == nullptr);
  if (response != nullptr && ask_response) {
    for (Line& value : values_in(*response, field.name)) values.push_back(std::move(value));
  }
  return values;
}

class RandomCondition {
 public:
  // Constants are some of the values that `values_for` gives for a field.
  using Values = std::function<std::vector<Line>(const AskedField&)>;
  RandomCondition(unsigned seed, Values values_for)
      : random_(seed), values_for_(std::move(values_for)) {}

  Meaning any(int depth) {
    switch (depth == 0 ? 0 : random_() % 5) {
      case 0:
      case 1:
        return atom();
      case 2: {
        const Meaning inner = any(depth - 1);
        return {"not (" + inner.text + ")",
                [inner](const Line* a, const Line* b) { return !inner.holds(a, b); }};
      }
      case 3: {
        const Meaning left = any(depth - 1);
        const Meaning right = any(depth - 1);
        return {"(" + left.text + ") and (" + right.text + ")",
                [left, right](const Line* a, const Line* b) {
                  return left.holds(a, b) && right.holds(a, b);
                }};
      }
      default: {
        // Without parentheses: `and` binds tighter.
        const Meaning one = atom();
        const Meaning two = atom();
        const Meaning three = any(depth - 1);
        return {one.text + " or " + two.text + " and (" + three.text + ")",
                [one, two, three](const Line* a, const Line* b) {
                  return one.holds(a, b) || (two.holds(a, b) && three.holds(a, b));
                }};
      }
    }
  }

 private:
  using Test = std::function<bool(const Line&)>;

  Meaning atom() {
    AskedField field = asked_fields()[random_() % asked_fields().size()];
    std::string name = field.name;
    if (field.of == Of::kEither && random_() % 2 == 0) {
      field.of = random_() % 2 == 0 ? Of::kRequest : Of::kResponse;
      name = (field.of == Of::kRequest ? "request." : "response.") + name;
    }
    std::string behind;
    Test test = [](const Line&) { return true; };
    bool negated = false;
    if (field.type != 'f' && random_() % 8 != 0) compare(field, behind, test, negated);
    return {name + behind, [field, test, negated](const Line* request, const Line* response) {
              bool any = false;
              for (const Line& value : values_of(field, request, response)) any |= test(value);
              return any != negated;
            }};
  }

  void compare(const AskedField& field, std::string& behind, Test& test, bool& negated) {
    std::vector<Line> values = values_for_(field);
    const bool is_text = field.type == 't';
    if (values.empty()) values.push_back(is_text ? Line("x") : Line(1));
    if (field.type == 'a') return compare_address(values, behind, test);
    if (is_text) return compare_text(values, behind, test, negated);
    static constexpr const char* kSigns[] = {"=", "!=", "<", "<=", ">", ">="};
    const size_t sign = random_() % 6;
    const Line constant = values[random_() % values.size()];
    negated = sign == 1;
    behind = std::string(" ") + kSigns[sign] + " " + constant.dump();
    test = [sign, constant](const Line& value) {
      const auto number = value.get<double>();
      const auto other = constant.get<double>();
      return sign < 2    ? number == other
             : sign == 2 ? number < other
             : sign == 3 ? number <= other
             : sign == 4 ? number > other
                         : number >= other;
    };
  }

  void compare_address(const std::vector<Line>& values, std::string& behind, Test& test) {
    const auto one = values[random_() % values.size()].get<std::string>();
    const auto other = values[random_() % values.size()].get<std::string>();
    if (random_() % 2 == 0 || one.find(':') != std::string::npos) {
      behind = " in (" + one + ", " + other + ")";
      test = [one, other](const Line& value) { return value == one || value == other; };
      return;
    }
    const std::string network = one.substr(0, one.rfind('.') + 1);
    behind = " in " + network + "0/24";
    test = [network](const Line& value) { return value.get<std::string>().starts_with(network); };
  }

  static std::string quoted(const std::string& text, char quote) {
    std::string out(1, quote);
    for (const char c : text) {
      if (c == quote || c == '\\') out += '\\';
      out += c;
    }
    return out + quote;
  }

  void compare_text(const std::vector<Line>& values, std::string& behind, Test& test,
                    bool& negated) {
    const auto text = values[random_() % values.size()].get<std::string>();
    switch (random_() % 5) {
      case 0:
        negated = random_() % 2 == 0;
        behind = (negated ? " != " : " = ") + quoted(text, negated ? '\'' : '"');
        test = [text](const Line& value) { return value == text; };
        return;
      case 1: {
        const auto other = values[random_() % values.size()].get<std::string>();
        behind = " in (" + quoted(text, '"') + ", " + quoted(other, '\'') + ")";
        test = [text, other](const Line& value) { return value == text || value == other; };
        return;
      }
      case 2:
      case 3: {
        // A part without what has a meaning in a glob.
        const std::string part = text.substr(0, std::min(text.find_first_of("*?"), size_t{12}));
        const bool begins = random_() % 2 == 0;
        behind = " ~ " + quoted((begins ? "" : "*") + part + "*", '\'');
        test = [part, begins](const Line& value) {
          const size_t at = value.get<std::string>().find(part);
          return begins ? at == 0 : at != std::string::npos;
        };
        return;
      }
      default:
        behind = " =~ '^[a-g/]+.?[A-Z]*'";
        test = [](const Line& value) {
          return std::regex_search(value.get<std::string>(), std::regex("^[a-g/]+.?[A-Z]*"));
        };
    }
  }

  std::mt19937 random_;
  Values values_for_;
};

}  // namespace tcp_sniffer::condition_model
