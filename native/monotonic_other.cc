// macOS and Windows wait for a span of time, whatever becomes of the clock that it was computed
// with.
#include "monotonic.h"

namespace holdfast {

Condition::Condition() = default;

void Condition::WaitUntil(std::unique_lock<std::mutex>& guard, int64_t deadline) {
  wait_for(guard, std::chrono::nanoseconds(deadline - MonotonicNow()));
}

}  // namespace holdfast
