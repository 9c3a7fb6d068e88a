#pragma once

namespace tcp_sniffer {

// The folder with the inputs of the fuzz target that this program tests.
const char* fuzz_inputs_folder();

}  // namespace tcp_sniffer
