// A held descriptor that exactly one of release, lease end and teardown takes away.
#ifndef HOLDFAST_HOLDING_H_
#define HOLDFAST_HOLDING_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>

#include "file_lock.h"
#include "monotonic.h"

namespace holdfast {

class Holding final {
 public:
  // Makes what the watchdog calls, on its own thread, after it has unlocked; it must not refer to
  // this object, which may be gone by then.
  using Expired = std::function<void()>;

  Holding() = default;
  ~Holding();
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

  void Begin(Descriptor descriptor);

  // Whoever gets the descriptor must unlock and close it, or put it back; everybody else gets
  // kNoDescriptor.
  Descriptor Take(int64_t* deadline = nullptr);

  // Undoes Take(): the lease goes on as if nothing had happened. Answers as Limit() does.
  int PutBack(Descriptor descriptor, int64_t deadline);

  Descriptor descriptor() const { return descriptor_.load(std::memory_order_relaxed); }
  bool held() const { return deadline_.load(std::memory_order_acquire) > 0; }

  // Ends the holding after that long unless it is called again in time. Returns 0, kContended when
  // the holding has ended already, or a negative error number when no watchdog could be started.
  int Limit(int64_t milliseconds, const Expired& expired);

 private:
  friend class LeaseWatchdog;
  static constexpr int64_t kNotHeld = 0;
  static constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

  bool Extend(int64_t deadline);

  std::atomic<Descriptor> descriptor_{kNoDescriptor};
  std::atomic<int64_t> deadline_{kNotHeld};
  // Guarded by the watchdog's mutex.
  int64_t queued_ = kNotHeld;
  Expired expired_;
};

}  // namespace holdfast

#endif  // HOLDFAST_HOLDING_H_
