#include "holding.h"

#include "lease_watchdog.h"

namespace holdfast {

Holding::~Holding() { LeaseWatchdog::Get().Forget(this); }

void Holding::Begin(Descriptor descriptor) {
  descriptor_.store(descriptor, std::memory_order_relaxed);
  deadline_.store(kForever, std::memory_order_release);
}

Descriptor Holding::Take(int64_t* was) {
  // Read first: after the exchange the watchdog is out of the game, before it the value is ours
  // only if the exchange succeeds.
  const Descriptor descriptor = descriptor_.load(std::memory_order_relaxed);
  const int64_t deadline = deadline_.exchange(kNotHeld, std::memory_order_acq_rel);
  if (deadline <= 0) return kNoDescriptor;
  if (was != nullptr) *was = deadline;
  // So that the watchdog has nothing left to watch, and ends.
  if (deadline != kForever) LeaseWatchdog::Get().Forget(this);
  return descriptor;
}

int Holding::PutBack(Descriptor descriptor, int64_t deadline) {
  Begin(descriptor);
  return deadline == kForever ? 0 : LeaseWatchdog::Get().Watch(this, deadline, expired_);
}

bool Holding::Extend(int64_t deadline) {
  int64_t before = deadline_.load(std::memory_order_acquire);
  while (before > 0 && before != kForever && before <= deadline) {
    if (deadline_.compare_exchange_weak(before, deadline, std::memory_order_acq_rel)) return true;
  }
  return false;
}

int Holding::Limit(int64_t milliseconds, const Expired& expired) {
  const int64_t deadline = MonotonicNow() + milliseconds * 1'000'000;
  // The usual renewal only moves the deadline away: the watchdog sees that when it wakes.
  if (Extend(deadline)) return 0;
  return LeaseWatchdog::Get().Watch(this, deadline, expired);
}

}  // namespace holdfast
