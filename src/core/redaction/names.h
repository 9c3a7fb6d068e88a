#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

// Names are compared as the most lenient reader would: no spelling of a name slips through, and in
// doubt too much is hidden.

// Names of header and trailer fields (`redactHeaders`).
class HeaderNames {
 public:
  explicit HeaderNames(const std::vector<std::string>& names);

  bool empty() const { return names_.empty(); }
  // Without regard to case, to blanks, control characters and bytes beyond ASCII, and to whether
  // '-' or '_' is written.
  bool cover(std::string_view name) const;
  // The name is covered, or the value holds the line of a covered name: line breaks that not
  // everybody reads as such.
  bool cover_field(std::string_view name, std::string_view value) const;

 private:
  std::vector<std::string> names_;  // canonical
};

// Names of parameters (`redactQuery`): each is a path of elements, `card.number`.
//
// A name is covered when the elements of a path occur among its own, in this order: `number` covers
// number, number[0], card[number] and Card.Number; `card.number` covers card[number] and
// order.card[0].number. Elements are compared without regard to case and without blanks around;
// '-', '_', '+' and a blank are the same. A name that is the path with other signs between its
// elements (card_number) is covered, too. What follows a NUL does not count.
class FieldNames {
 public:
  // What may stand in front of a parameter's name: what some server or client takes for a
  // separator.
  static constexpr std::string_view kSeparators = "?&;#/=,";

  explicit FieldNames(const std::vector<std::string>& names);

  bool empty() const { return paths_.empty(); }
  bool cover(std::string_view name) const;

  // For names that stand within each other, one path at a time: how many of its elements are met
  // when `met` of them are by the names around, and then by `name`. size(path) of them: covered.
  size_t paths() const { return paths_.size(); }
  size_t size(size_t path) const { return paths_[path].elements.size(); }
  size_t meet(size_t path, size_t met, std::string_view name) const;

 private:
  struct Path {
    std::vector<std::string> elements;  // canonical
    std::string whole;                  // canonical, with '_' between the elements
  };

  std::vector<Path> paths_;
};

// Undoes one percent-encoding in place, %uXXXX too. False: there was none.
bool undo_percent_encoding(std::string& text);
// Undoes the escapes of a JSON string in place (RFC 8259 section 7). False: there were none.
bool undo_json_escapes(std::string& text);

}  // namespace tcp_sniffer
