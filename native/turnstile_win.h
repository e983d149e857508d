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

  // For other threads: of this descriptor, or null before the place was reached and after it was
  // left. Only while the list is locked.
  static const TurnstilePlace* Of(Descriptor descriptor);
  HANDLE file() const { return file_; }

 private:
  const Descriptor descriptor_;
  const HANDLE file_;
  TurnstilePlace* next_ = nullptr;
};

}  // namespace holdfast

#endif  // HOLDFAST_TURNSTILE_WIN_H_
