#include "io/base/kafka_library.h"

#include <dlfcn.h>

#include "io/base/printable.h"

namespace tcp_sniffer {
namespace {

constexpr const char* kFile = "librdkafka.so.1";

struct Loaded {
  KafkaLibrary functions;
  std::string fault;
};

std::string words_of_loader() {
  const char* const words = ::dlerror();
  return words == nullptr ? std::string(kFile) + " has another form" : printable(words);
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

// The library is not closed, because threads of it may outlive a producer.
Loaded load() {
  Loaded loaded;
  void* const library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  bool complete = library != nullptr;
#define TCP_SNIFFER_KAFKA_FIND(name) \
  complete = complete && find(library, #name, loaded.functions.name);
  TCP_SNIFFER_KAFKA_FUNCTIONS(TCP_SNIFFER_KAFKA_FIND)
#undef TCP_SNIFFER_KAFKA_FIND
  if (!complete) {
    loaded.fault = "librdkafka cannot be loaded: " + words_of_loader() +
                   "; install the package librdkafka1 (in an rpm system: librdkafka)";
  }
  return loaded;
}

const Loaded& loaded() {
  static const Loaded once = load();
  return once;
}

}  // namespace

const KafkaLibrary* kafka_library() {
  return loaded().fault.empty() ? &loaded().functions : nullptr;
}

const std::string& fault_of_kafka_library() {
  return loaded().fault;
}

}  // namespace tcp_sniffer
