#pragma once

namespace tcp_sniffer {

// For a run that writes to Kafka: freed memory stays the process's for some milliseconds.
// librdkafka takes and frees megabytes for each batch, and with every page of them new the system
// would need a fifth of its time. Before the threads of the run.
void keep_freed_memory_for_a_moment();

}  // namespace tcp_sniffer
