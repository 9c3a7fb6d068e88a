#include "inputs_folder.h"

namespace tcp_sniffer {

const char* fuzz_inputs_folder() {
  return TCP_SNIFFER_FUZZ_INPUTS;
}

}  // namespace tcp_sniffer
