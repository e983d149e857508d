#include <chrono>
#include <thread>
#include <utility>

#include "lock_handle.h"

namespace holdfast {
namespace {

// Twice what a woken process takes to run on a busy machine of two cores, a fiftieth of a turn.
constexpr std::chrono::microseconds kStepAside{200};

// How soon to look again whether a file can be opened that another program has for itself.
constexpr std::chrono::milliseconds kReopenPause{20};

// Only for threads of our own. Whoever still wants the lock starts again.
int PauseBeforeReopening() {
  std::this_thread::sleep_for(kReopenPause);
  return kReplaced;
}

}  // namespace

int LockHandle::Begin(const Request& request, LockWaiter::Body body, LockWaiter::Ended ended) {
  CloseKept();
  EndTurn();
  const int result = LockWaiter::Start(open_, request.details.lease_ms, std::move(body),
                                       std::move(ended), &waiter_);
  if (result != 0) return GiveBack(Failure(Operation::kThread, result));
  open_ = kNoDescriptor;
  wanted_ = std::make_unique<Request>(request);
  return 0;
}

int LockHandle::BeginWait(const Request& request, LockWaiter::Ended ended) {
  const bool for_turn = mode_ == Mode::kExclusive && turn(MonotonicNow()).IsLoop();
  const auto wait = [mode = mode_, in_turn = in_turn_, for_turn](LockWaiter::Stage* stage) {
    if (stage->descriptor == kNoDescriptor) return PauseBeforeReopening();
    // Whoever was woken by the release that came just before needs a moment to take the lock.
    if (in_turn) std::this_thread::sleep_for(kStepAside);
    return Lock(stage->descriptor, mode, for_turn, stage->wanted);
  };
  const int result = Begin(request, wait, std::move(ended));
  has_turn_ = result == 0 && for_turn;
  return result;
}

int LockHandle::BeginRemote(const Request& request, bool once, LockWaiter::Ended ended) {
  Prepare(request);
  const auto open_and_wait = [once, path = request.path, mode = request.mode,
                              access = request.access(),
                              permissions = request.permissions](LockWaiter::Stage* stage) {
    Descriptor open = kNoDescriptor;
    const int opened = Open(path, access, permissions, &open);
    stage->descriptor = open;
    if (opened == kContended && !once) return PauseBeforeReopening();
    if (opened != 0) return Failure(Operation::kOpen, opened);
    return once ? TryLock(open, mode) : Lock(open, mode, false, stage->wanted);
  };
  // After a wait or a change of mode that failed the file is open here, and would be twice.
  GiveBack(0);
  file_ = {};
  return Begin(request, open_and_wait, std::move(ended));
}

bool LockHandle::AbandonWait() { return waiter_ != nullptr && waiter_->Abandon(); }

bool LockHandle::AdoptWait() { return waiter_ != nullptr && waiter_->Adopt(); }

void LockHandle::ChangeRequest(const Request& request) {
  wanted_ = std::make_unique<Request>(request);
  if (waiter_ != nullptr) waiter_->LimitGrant(request.details.lease_ms);
}

int LockHandle::WaitFor(int64_t milliseconds) { return waiter_->WaitFor(milliseconds); }

int LockHandle::FinishWait() {
  const std::unique_ptr<Request> request = std::move(wanted_);
  Prepare(*request);
  const int result = std::exchange(waiter_, nullptr)->Collect(&open_);
  // A failure to open says so itself; what comes from the lock call is a bare error number.
  constexpr int kBareErrors = -(1 << 16);
  // Open for another wait.
  if (result == kContended) return kContended;
  if (result > 0 || result <= kBareErrors) return GiveBack(result);
  if (result != 0) return GiveBack(Failure(Operation::kLock, result));
  held_since_ = MonotonicNow();
  turn(held_since_).Start(held_since_);
  const int same = CompareWithPath(request->path);
  return same == 0 ? Granted(*request) : GiveBack(same);
}

}  // namespace holdfast
