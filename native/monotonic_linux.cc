#include <pthread.h>
#include <time.h>

#include "monotonic.h"

namespace holdfast {

Condition::Condition() {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  // In the place of the one that the standard library has made.
  pthread_cond_destroy(native_handle());
  pthread_cond_init(native_handle(), &attributes);
  pthread_condattr_destroy(&attributes);
}

void Condition::WaitUntil(std::unique_lock<std::mutex>& guard, int64_t deadline) {
  constexpr int64_t kSecond = 1'000'000'000;
  struct timespec limit = {};
  // Both are narrower where a long has 32 bits.
  limit.tv_sec = static_cast<time_t>(deadline / kSecond);
  limit.tv_nsec = static_cast<long>(deadline % kSecond);
  pthread_cond_timedwait(native_handle(), guard.mutex()->native_handle(), &limit);
}

}  // namespace holdfast
