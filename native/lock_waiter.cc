#include "lock_waiter.h"

#include <utility>

#include "os_thread.h"

namespace holdfast {

int LockWaiter::Start(Descriptor descriptor, int64_t grant_ms, Body body, Ended ended,
                      std::shared_ptr<LockWaiter>* out) {
  const std::shared_ptr<LockWaiter> waiter(
      new LockWaiter(descriptor, grant_ms, std::move(body), std::move(ended)));
  // The thread has a reference of its own: it outlives whoever gave the wait up.
  const int result = RunInThread([waiter] {
    waiter->End(waiter->body_(&waiter->stage_));
    waiter->ended_();
    waiter->AwaitCollection();
  });
  if (result == 0) *out = waiter;
  return result;
}

void LockWaiter::End(int result) {
  Descriptor unwanted;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    result_ = result;
    if (state_ == State::kWaiting) {
      // Not before: an adopted wait stands in line until then.
      StandAside(stage_.descriptor);
      state_ = State::kEnded;
      changed_.notify_all();
      return;
    }
    unwanted = TakeUnwanted();
  }
  GiveBack(result, unwanted);
}

// Only for those with a limit: the event loop often wakes up on the same core, and waits for this.
void LockWaiter::AwaitCollection() {
  Descriptor unwanted;
  {
    std::unique_lock<std::mutex> guard(mutex_);
    if (result_ != 0) return;
    const int64_t granted = MonotonicNow();
    for (;;) {
      // Both may change meanwhile.
      if (state_ != State::kEnded || grant_ms_ == 0) return;
      const int64_t deadline = granted + grant_ms_ * 1'000'000;
      if (MonotonicNow() >= deadline) break;
      changed_.WaitUntil(guard, deadline);
    }
    unwanted = TakeUnwanted();
  }
  GiveBack(0, unwanted);
}

Descriptor LockWaiter::TakeUnwanted() {
  state_ = State::kGivenBack;
  result_ = kContended;
  return stage_.descriptor.exchange(kNoDescriptor);
}

void LockWaiter::GiveBack(int result, Descriptor unwanted) {
  if (result == 0) Unlock(unwanted);
  if (unwanted != kNoDescriptor) Close(unwanted);
}

void LockWaiter::LimitGrant(int64_t milliseconds) {
  const std::lock_guard<std::mutex> guard(mutex_);
  grant_ms_ = milliseconds;
  changed_.notify_all();
}

bool LockWaiter::Abandon() {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (state_ == State::kWaiting) {
    state_ = State::kAbandoned;
    stage_.wanted = false;
    // Not closed before End() has had the mutex.
    StandAside(stage_.descriptor);
  }
  return state_ != State::kEnded;
}

bool LockWaiter::Adopt() {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (state_ != State::kAbandoned) return false;
  state_ = State::kWaiting;
  stage_.wanted = true;
  StandInLine(stage_.descriptor);
  return true;
}

int LockWaiter::WaitFor(int64_t milliseconds) {
  std::unique_lock<std::mutex> guard(mutex_);
  const int64_t deadline = MonotonicNow() + milliseconds * 1'000'000;
  const auto ended = [&] { return state_ != State::kWaiting; };
  return changed_.WaitUntil(guard, deadline, ended) ? 0 : kContended;
}

bool LockWaiter::HasEnded() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return state_ == State::kEnded || state_ == State::kGivenBack;
}

int LockWaiter::Collect(Descriptor* out) {
  const std::lock_guard<std::mutex> guard(mutex_);
  *out = stage_.descriptor.exchange(kNoDescriptor);
  if (state_ == State::kEnded) state_ = State::kCollected;
  if (grant_ms_ > 0) changed_.notify_all();
  return result_;
}

}  // namespace holdfast
