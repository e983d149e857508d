// The queue before the lock (turnstile.h) on Windows.
#ifndef HOLDFAST_TURNSTILE_WIN_H_
#define HOLDFAST_TURNSTILE_WIN_H_

#include <windows.h>

#include "file_lock.h"

namespace holdfast {

// The place of a thread in Lock(). It has a handle of its own, because all calls on the one that
// the thread is blocked on wait for that, also those of other threads. Without one there is no
// queue, which costs fairness, never exclusion.
class TurnstilePlace final {
 public:
  // Blocks until this is the first in the queue.
  explicit TurnstilePlace(Descriptor descriptor);
  ~TurnstilePlace();
  TurnstilePlace(const TurnstilePlace&) = delete;
  TurnstilePlace& operator=(const TurnstilePlace&) = delete;

  // For other threads; no effect before the place was reached and after it was left.
  static void Leave(Descriptor descriptor);
  // Goes to the front of the queue if nobody is in it.
  static void TryReturn(Descriptor descriptor);

 private:
  const Descriptor descriptor_;
  const HANDLE file_;
  TurnstilePlace* next_ = nullptr;
};

}  // namespace holdfast

#endif  // HOLDFAST_TURNSTILE_WIN_H_
