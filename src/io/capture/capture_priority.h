#pragma once

namespace tcp_sniffer {

// A capture thread that waits for a processor loses packets; every other thread only makes them
// wait. So live capture threads run at this nice value where the system allows it.
constexpr int kCaptureNice = -10;

// Raises the limit RLIMIT_NICE, so that raise_capture_priority also works after the process has
// given up its rights. To be called before that; without the rights it does nothing.
void keep_right_to_raise_priority();

// Gives the calling thread kCaptureNice. Does nothing where that is not allowed (it takes root,
// CAP_SYS_NICE or RLIMIT_NICE), and where the process was started with a nice value of its own.
void raise_capture_priority();

}  // namespace tcp_sniffer
