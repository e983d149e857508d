#include "lease_watchdog.h"

#include <algorithm>

#include "os_thread.h"

namespace holdfast {
namespace {

constexpr int64_t kLinger = 1'000'000'000;

}  // namespace

LeaseWatchdog& LeaseWatchdog::Get() {
  // Never destroyed: its thread may outlive the statics when the process ends.
  static LeaseWatchdog* const watchdog = new LeaseWatchdog();
  return *watchdog;
}

int LeaseWatchdog::Watch(Holding* holding, int64_t deadline, const Holding::Expired& expired) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!running_) {
    const int started = StartThread([this] { Loop(); });
    if (started != 0) return started;
    running_ = true;
  }
  int64_t before = holding->deadline_.load(std::memory_order_acquire);
  do {
    if (before <= 0) return kContended;
  } while (!holding->deadline_.compare_exchange_weak(before, deadline, std::memory_order_acq_rel));
  holding->expired_ = expired;
  if (holding->queued_ == Holding::kNotHeld || holding->queued_ > deadline) {
    Queue(holding, deadline);
  }
  return 0;
}

void LeaseWatchdog::Forget(Holding* holding) {
  const std::lock_guard<std::mutex> guard(mutex_);
  Unqueue(holding);
}

void LeaseWatchdog::Queue(Holding* holding, int64_t deadline) {
  Unqueue(holding);
  holding->queued_ = deadline;
  queue_.emplace(deadline, holding);
  if (queue_.begin()->second == holding) changed_.notify_one();
}

void LeaseWatchdog::Unqueue(Holding* holding) {
  if (holding->queued_ == Holding::kNotHeld) return;
  queue_.erase({holding->queued_, holding});
  holding->queued_ = Holding::kNotHeld;
}

void LeaseWatchdog::Loop() {
  std::unique_lock<std::mutex> guard(mutex_);
  for (;;) {
    const int64_t now = MonotonicNow();
    const auto any = [&] { return !queue_.empty(); };
    if (!changed_.WaitUntil(guard, now + kLinger, any)) {
      running_ = false;
      return;
    }
    const auto [when, holding] = *queue_.begin();
    if (when > now) {
      // Not told when a lock is released early, which would cost each release a wake-up.
      changed_.WaitUntil(guard, std::min(now + kLinger, when));
      continue;
    }
    Unqueue(holding);
    Expire(holding, &guard);
  }
}

void LeaseWatchdog::Expire(Holding* holding, std::unique_lock<std::mutex>* guard) {
  const Descriptor descriptor = holding->descriptor();
  int64_t deadline = holding->deadline_.load(std::memory_order_acquire);
  while (deadline > 0 && deadline != Holding::kForever) {
    if (deadline > MonotonicNow()) {
      Queue(holding, deadline);
      return;
    }
    if (!holding->deadline_.compare_exchange_weak(deadline, Holding::kNotHeld,
                                                  std::memory_order_acq_rel)) {
      continue;
    }
    // The lock is this thread's alone now; the holding may be used again or freed meanwhile.
    const Holding::Expired expired = holding->expired_;
    guard->unlock();
    Unlock(descriptor);
    Close(descriptor);
    expired();
    guard->lock();
    return;
  }
}

}  // namespace holdfast
