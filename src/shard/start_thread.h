#pragma once

#include <pthread.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace tcp_sniffer {

// Starts a thread with this name (15 characters at most), which a debugger and /proc show. Throws a
// std::system_error that names the thread which the system has refused.
template <class Function>
std::thread start_thread(const char* name, Function function) {
  try {
    std::thread thread(std::move(function));
    pthread_setname_np(thread.native_handle(), name);
    return thread;
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(),
                            std::string("the thread \"") + name + "\" cannot be started");
  }
}

}  // namespace tcp_sniffer
