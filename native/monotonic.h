// Time that no administrator can turn back, and waits by it.
#ifndef HOLDFAST_MONOTONIC_H_
#define HOLDFAST_MONOTONIC_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace holdfast {

// In nanoseconds.
inline int64_t MonotonicNow() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double Milliseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

// Waits with a limit are its own: those of the standard library go by the wall clock where the C
// library knows no others (glibc before 2.30, which the shipped binaries are built for), and become
// an hour longer when somebody sets that back by an hour.
class Condition final : public std::condition_variable {
 public:
  Condition();

  // Until MonotonicNow() is that, or it was notified, or for no reason.
  void WaitUntil(std::unique_lock<std::mutex>& guard, int64_t deadline);

  // False when the time is over first.
  template <typename Predicate>
  bool WaitUntil(std::unique_lock<std::mutex>& guard, int64_t deadline, Predicate done) {
    while (!done()) {
      if (MonotonicNow() >= deadline) return false;
      WaitUntil(guard, deadline);
    }
    return true;
  }
};

}  // namespace holdfast

#endif  // HOLDFAST_MONOTONIC_H_
