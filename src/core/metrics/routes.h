#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

// Patterns of paths that the user gives (metricsRoutes), so that many paths have one name. The same
// as those of the TypeScript package: in a segment `{name}`, `:name` or `*` stands for one or more
// characters, at most once; `/**` at the end for all the rest. Query and fragment do not count, and
// percent-encoding is not undone. Any thread.
class Routes {
 public:
  static constexpr size_t kMax = 256;
  static constexpr size_t kPatternBytesMax = 256;
  static constexpr uint16_t kNone = 0;

  // Each pattern is valid.
  explicit Routes(const std::vector<std::string>& patterns);

  // Empty: the pattern is valid; else what is wrong with it.
  static std::string fault_of(std::string_view pattern);

  bool empty() const { return patterns_.empty(); }
  // The first pattern that the request target matches, or kNone.
  uint16_t route_of(std::string_view target) const;
  std::string_view text_of(uint16_t route) const { return patterns_[route - size_t{1}].text; }

 private:
  struct Segment {
    std::string before;
    std::string after;
    bool is_open = false;  // something stands between the two

    bool matches(std::string_view part) const;
  };
  struct Pattern {
    std::string text;
    std::vector<Segment> segments;
    bool has_rest = false;

    bool matches(std::string_view path) const;
  };

  static Pattern parse(std::string_view text);

  std::vector<Pattern> patterns_;
};

}  // namespace tcp_sniffer
