#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "random.h"

namespace tcp_sniffer::pcapgen {

// A body as a server would send it. `packed` is the gzip form, empty when it was not asked for.
struct Document {
  std::string_view content_type;
  std::string_view extension;
  std::string plain;
  std::string packed;
};

// Documents and header blocks, made once at the start; messages point into them, so generating
// a message copies bytes but never invents them. Lives as long as the generator.
class Content {
 public:
  Content(std::uint64_t seed, bool with_gzip);

  const Document& json(Random& random) const { return pick(json_, random); }
  const Document& small_json(Random& random) const { return pick(small_json_, random); }
  const Document& tiny_json(Random& random) const { return pick(tiny_json_, random); }
  const Document& page(Random& random) const { return pick(pages_, random); }
  const Document& file(Random& random) const { return pick(files_, random); }

  // Header lines that follow the start line, each with its CRLF.
  std::string_view request_headers(Random& random) const { return pick(request_headers_, random); }
  std::string_view response_headers(Random& random) const {
    return pick(response_headers_, random);
  }

  // Bytes that are not HTTP, though "HTTP/1." occurs in them now and then.
  std::string_view garbage() const { return garbage_; }

 private:
  template <typename T>
  static const T& pick(const std::vector<T>& from, Random& random) {
    return from[random.below(from.size())];
  }

  void make_documents(Random& random);
  void make_headers(Random& random);
  void make_garbage(Random& random);

  std::vector<Document> json_;
  std::vector<Document> small_json_;
  std::vector<Document> tiny_json_;
  std::vector<Document> pages_;
  std::vector<Document> files_;
  std::vector<std::string> request_headers_;
  std::vector<std::string> response_headers_;
  std::string garbage_;
};

}  // namespace tcp_sniffer::pcapgen
