#pragma once

#include <cstdint>
#include <string_view>

#include "batch.h"
#include "content.h"
#include "options.h"
#include "random.h"

namespace tcp_sniffer::pcapgen {

// A request and what the server will answer, decided together.
struct Exchange {
  enum class Kind { kGet, kPost, kHead, kNoContent, kNotModified, kNotFound };

  std::uint64_t id = 0;
  Kind kind = Kind::kGet;
  const Document* answer = nullptr;
  const Document* upload = nullptr;  // POST only
  bool gzip = false;
  bool chunked = false;
  bool until_close = false;
};

// Chooses exchanges by the workload and writes their two messages into batches.
class ExchangeWriter {
 public:
  ExchangeWriter(const Options& options, const Content& content)
      : options_(options), content_(content) {}

  // `workload` is a connection's own: a mixed capture has connections of the other kinds.
  Exchange choose(Workload workload, bool last_of_connection, Random& random);
  void append_request(const Exchange& exchange, Workload workload, Random& random, Batch& batch);
  void append_response(const Exchange& exchange, Workload workload, Random& random, Batch& batch);

 private:
  void choose_answer(Workload workload, Random& random, Exchange& exchange);
  void append_chunked(std::string_view body, Random& random, Batch& batch);

  const Options& options_;
  const Content& content_;
  std::uint64_t next_id_ = 1;
};

}  // namespace tcp_sniffer::pcapgen
