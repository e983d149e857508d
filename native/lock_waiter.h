// A wait in the kernel, in a thread of its own.
//
// A blocked flock() or LockFileEx() cannot be revoked portably. A wait that nobody wants any more
// is abandoned: its thread stays in the kernel's queue, and either the next waiter adopts it,
// keeping its place, or it gives the lock back the moment it is granted.
#ifndef HOLDFAST_LOCK_WAITER_H_
#define HOLDFAST_LOCK_WAITER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "file_lock.h"
#include "monotonic.h"

namespace holdfast {

class LockWaiter final {
 public:
  // Called once, on the waiting thread, when the wait has ended in whatever way.
  using Ended = std::function<void()>;

  // What the waiting thread shares with those who wait for it: the descriptor, once there is one,
  // and whether the wait has not been given up.
  struct Stage {
    std::atomic<Descriptor> descriptor;
    std::atomic<bool> wanted{true};
  };

  // What its thread does; returns 0 when the descriptor is locked.
  using Body = std::function<int(Stage*)>;

  // Starts to wait. On success the waiter owns the descriptor until Collect(); on failure (no more
  // threads) the caller keeps it. See LimitGrant() for `grant_ms`.
  static int Start(Descriptor descriptor, int64_t grant_ms, Body body, Ended ended,
                   std::shared_ptr<LockWaiter>* out);

  // Gives back what was granted and not collected for that long (0: for ever), because the event
  // loop that should do so may be blocked, and a lease that has not begun does not end. Has no
  // effect where the wait was granted without a limit.
  void LimitGrant(int64_t milliseconds);

  // Gives the wait up. Returns false when it has ended before: then Collect() has its result. From
  // then on it keeps nobody from the lock, but its place behind those who have waited for longer.
  bool Abandon();

  // Takes over an abandoned wait. Returns false when it has ended already. It may be about to end
  // as one that nobody wants: then its result is kContended.
  bool Adopt();

  // Blocks until the wait has ended, at most for that long. Returns kContended when the time was
  // over first.
  int WaitFor(int64_t milliseconds);

  bool HasEnded();

  // Moves the descriptor out once the wait has ended: locked where the result is 0, only open
  // where it is not. Nothing is left to move out of a wait that was given up.
  int Collect(Descriptor* out);

 private:
  enum class State : uint8_t { kWaiting, kAbandoned, kEnded, kGivenBack, kCollected };

  LockWaiter(Descriptor descriptor, int64_t grant_ms, Body body, Ended ended)
      : grant_ms_(grant_ms), stage_{descriptor}, body_(std::move(body)), ended_(std::move(ended)) {}
  void End(int result);
  void AwaitCollection();
  Descriptor TakeUnwanted();
  static void GiveBack(int result, Descriptor unwanted);

  std::mutex mutex_;
  Condition changed_;
  State state_ = State::kWaiting;
  int result_ = 0;
  int64_t grant_ms_;
  Stage stage_;
  const Body body_;
  const Ended ended_;
};

}  // namespace holdfast

#endif  // HOLDFAST_LOCK_WAITER_H_
