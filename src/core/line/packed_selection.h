#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/field/fields.h"
#include "core/line/line_options.h"
#include "core/message/message.h"
#include "core/net/proxy_protocol.h"

namespace tcp_sniffer {

// What `select` leaves of a message in its packed record. Part of a PackedRecordWriter.
class PackedSelection {
 public:
  // The fields of one record.
  class Fields {
   public:
    bool has(Field field) const { return (chosen_ & bit(field)) != 0; }
    bool has_any(std::initializer_list<Field> fields) const {
      for (const Field field : fields) {
        if (has(field)) return true;
      }
      return false;
    }
    bool has_header(const HeaderField& field) const { return is_in(headers_, field); }
    bool has_trailer(const HeaderField& field) const { return is_in(trailers_, field); }
    // Of a response: what it tells of its request.
    bool has_of_request(Field field) const { return (of_request_ & bit(field)) != 0; }
    bool has_any_of_request() const { return of_request_ != 0; }
    // packed::Shown, for a message.
    uint32_t shown(const Message& message) const;

   private:
    friend class PackedSelection;

    static constexpr uint64_t bit(Field field) { return uint64_t{1} << static_cast<int>(field); }
    static bool is_in(const std::vector<std::string>& names, const HeaderField& field);
    void add(const FieldRef& ref);

    uint64_t chosen_ = 0;
    uint64_t of_request_ = 0;
    std::vector<std::string> headers_;  // in lower case; when not all are chosen
    std::vector<std::string> trailers_;
  };

  explicit PackedSelection(const LineOptions& options);

  // Without `select`: then nothing else here is to be asked.
  bool is_everything() const { return names_.empty(); }
  // As they were given, with commas between them.
  std::string_view names() const { return names_; }
  // Of the record of a message; with `records: exchange` one within that of its exchange.
  const Fields& of(const Message& message) const;
  // Of the record of an exchange itself.
  const Fields& of_exchange() const { return exchange_; }

  // The message without what was not selected, but for the bytes of the body. Valid until the next
  // call, and as long as `message`.
  Message cut(const Message& message, const Fields& fields);

 private:
  void cut_connection(const Message& from, const Fields& fields, Message& to);
  void cut_head(const Message& from, const Fields& fields, Message& to);
  static void cut_measures(const Message& from, const Fields& fields, Message& to);
  static void cut_capture(const Message& from, const Fields& fields, Message& to);

  std::string names_;
  Fields request_;
  Fields interim_;  // within an exchange
  Fields response_;
  Fields exchange_;
  bool by_exchange_;
  std::vector<HeaderField> headers_;
  std::vector<HeaderField> trailers_;
  ProxiedEndpoints proxied_;
};

}  // namespace tcp_sniffer
