#include "lock_handle.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

namespace holdfast {
namespace {

// Each turn of the loop means that somebody deleted the file in the microsecond between open and
// lock; whoever does that for ever deserves an error rather than a busy loop.
constexpr int kMostReopens = 100;

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

LockHandle::~LockHandle() { LetGo(); }

void LockHandle::LetGo() {
  Discard();
  // Not marked as released: whoever comes next learns that this holder never said it was done.
  open_ = holding_.Take();
  GiveBack(0);
}

void LockHandle::SetPath(const char* path, size_t length) {
  if (request_.path.compare(0, std::string::npos, path, length) == 0) return;
  CloseKept();
  request_.path.assign(path, length);
  path_hash_ = std::hash<std::string>()(request_.path);
}

int LockHandle::TryAcquire() {
  const int64_t now = MonotonicNow();
  turn(now).Ask(now);
  if (kept_ != kNoDescriptor) {
    const int result = TryKept(now);
    if (result != kReplaced) return result;
  }
  for (int attempt = 0; attempt < kMostReopens; ++attempt) {
    int result = Open(request_.path, request_.writes(), request_.permissions, &open_);
    if (result != 0) {
      file_ = {};
      return Failure(Operation::kOpen, result);
    }

    result = Attempt(now);
    if (result < 0) return GiveBack(result);

    const int status = GetStatus(open_, &file_);
    if (status != 0) return GiveBack(status < 0 ? Failure(Operation::kStatus, status) : status);
    if (file_.linked) return result == kContended ? kContended : Granted();
    GiveBack(0);
  }
  return kReplaced;
}

// The same with the descriptor of the lock before this one, if it is still that of the path.
int LockHandle::TryKept(int64_t now) {
  if (request_.mode == Mode::kShared) {
    CloseKept();
    return kReplaced;
  }
  open_ = std::exchange(kept_, kNoDescriptor);
  const int result = Attempt(now);
  if (result < 0) return GiveBack(result);
  const int same = CompareWithPath();
  if (same != 0) return GiveBack(same);
  return result == kContended ? kContended : Granted();
}

int LockHandle::Attempt(int64_t now) {
  Turn& turn = this->turn(now);
  const bool yields = request_.mode == Mode::kShared || turn.IsOver(now);
  if (request_.in_turn || (yields && Awaited(open_) != 0)) return kContended;
  const int result = TryLock(open_, request_.mode);
  if (result < 0) return Failure(Operation::kLock, result);
  if (yields && result == 0) {
    turn.Extend(now);
    EndTurn();
  }
  held_since_ = now;
  return result;
}

int LockHandle::Begin(LockWaiter::Body body, LockWaiter::Ended ended) {
  CloseKept();
  EndTurn();
  const int result = LockWaiter::Start(open_, std::move(body), std::move(ended), &waiter_);
  if (result != 0) return GiveBack(Failure(Operation::kThread, result));
  open_ = kNoDescriptor;
  return 0;
}

int LockHandle::BeginWait(LockWaiter::Ended ended) {
  const bool for_turn = request_.mode == Mode::kExclusive && turn(MonotonicNow()).IsLoop();
  const auto wait = [mode = request_.mode, in_turn = request_.in_turn,
                     for_turn](LockWaiter::Stage* stage) {
    if (stage->descriptor == kNoDescriptor) return PauseBeforeReopening();
    // Whoever was woken by the release that came just before needs a moment to take the lock.
    if (in_turn) std::this_thread::sleep_for(kStepAside);
    return Lock(stage->descriptor, mode, for_turn, stage->wanted);
  };
  const int result = Begin(wait, std::move(ended));
  has_turn_ = result == 0 && for_turn;
  return result;
}

int LockHandle::BeginRemote(bool once, LockWaiter::Ended ended) {
  const auto open_and_wait = [once, path = request_.path, mode = request_.mode,
                              writes = request_.writes(),
                              permissions = request_.permissions](LockWaiter::Stage* stage) {
    Descriptor open = kNoDescriptor;
    const int opened = Open(path, writes, permissions, &open);
    stage->descriptor = open;
    if (opened == kContended && !once) return PauseBeforeReopening();
    if (opened != 0) return Failure(Operation::kOpen, opened);
    return once ? TryLock(open, mode) : Lock(open, mode, false, stage->wanted);
  };
  // After a wait or a change of mode that failed the file is open here, and would be twice.
  GiveBack(0);
  file_ = {};
  return Begin(open_and_wait, std::move(ended));
}

bool LockHandle::AbandonWait() { return waiter_ != nullptr && waiter_->Abandon(); }

bool LockHandle::AdoptWait() { return waiter_ != nullptr && waiter_->Adopt(); }

int LockHandle::WaitFor(int64_t milliseconds) { return waiter_->WaitFor(milliseconds); }

int LockHandle::FinishWait() {
  const int result = std::exchange(waiter_, nullptr)->Collect(&open_);
  // A failure to open says so itself; what comes from the lock call is a bare error number.
  constexpr int kBareErrors = -(1 << 16);
  // Open for another wait.
  if (result == kContended) return kContended;
  if (result > 0 || result <= kBareErrors) return GiveBack(result);
  if (result != 0) return GiveBack(Failure(Operation::kLock, result));
  held_since_ = MonotonicNow();
  turn(held_since_).Start(held_since_);
  const int same = CompareWithPath();
  return same == 0 ? Granted() : GiveBack(same);
}

// The wait may have been long: somebody may have deleted or renamed the file and made a new one.
int LockHandle::CompareWithPath() {
  if (!file_.linked) {
    // Opened by the waiting thread, so nothing is known of it yet.
    const int status = GetStatus(open_, &file_);
    if (status != 0) return status < 0 ? Failure(Operation::kStatus, status) : status;
  }
  FileStatus at_path;
  const bool same = GetStatusAt(request_.path, &at_path) == 0 && at_path.SameFile(file_);
  if (same) file_ = at_path;
  return same ? 0 : kReplaced;
}

int LockHandle::TakeOver(LockHandle* from) {
  CloseKept();
  const Descriptor taken = from->holding_.Take();
  if (taken == kNoDescriptor) return kReplaced;
  open_ = taken;
  has_turn_ = std::exchange(from->has_turn_, false);
  if (from->request_.mode != request_.mode) {
    // The old lock is gone before the new one is there (flock(2)), so this may fail.
    if (Unlock(open_) != 0) return GiveBack(kReplaced);
    const int result = TryLock(open_, request_.mode);
    if (result != 0) return result < 0 ? GiveBack(Failure(Operation::kLock, result)) : result;
  }
  held_since_ = MonotonicNow();
  if (CompareWithPath() != 0) return GiveBack(kReplaced);
  return Granted(from);
}

int LockHandle::Granted(const LockHandle* from) {
  crashed_record_.clear();
  token_ = 0;
  stamped_ = false;
  if (request_.record) {
    const int result = StampRecord(from);
    if (result != 0) return GiveBack(result);
  }
  holding_.Begin(std::exchange(open_, kNoDescriptor));
  return 0;
}

int LockHandle::StampRecord(const LockHandle* from) {
  char buffer[kRecordBytes];
  RecordScan scan;
  if (from != nullptr && from->stamped_) {
    // Its record says "held" still, which is no crash, and its token is known.
    scan.token = from->token_;
  } else {
    size_t size = 0;
    const int result = file_.size == 0 ? 0 : Read(open_, buffer, sizeof buffer, &size);
    if (result != 0) return Failure(Operation::kRead, result);
    scan = ScanRecord(buffer, size);
    if (scan.foreign) return kForeign;
    if (scan.held) crashed_record_.assign(buffer, size);
  }
  if (request_.mode == Mode::kShared) {
    token_ = std::max(scan.token, request_.min_token);
    return 0;
  }
  token_ = std::max(scan.token, request_.min_token) + 1;
  if (!FormatRecord(*process_, request_.details, token_, buffer)) return kTooLong;
  const int result = Write(open_, buffer, sizeof buffer, 0);
  if (result != 0) return Failure(Operation::kWrite, result);
  stamped_ = true;
  return 0;
}

int LockHandle::Release() {
  int64_t deadline = 0;
  const Descriptor held = holding_.Take(&deadline);
  if (held == kNoDescriptor) return 0;
  // A record that cannot be marked says "crashed" to the next holder: a needless look, no harm.
  if (stamped_) Write(held, kStateFree, kStateBytes, kStateOffset);
  // Unlocked first: close alone leaves the lock with a child that is being forked this moment.
  const int result = Unlock(held);
  if (result != 0) {
    if (stamped_) Write(held, kStateHeld, kStateBytes, kStateOffset);
    // A lease that no thread can watch any more ends now: closed, the file is unlocked as well.
    if (holding_.PutBack(held, deadline) < 0) Close(holding_.Take());
    return Failure(Operation::kUnlock, result);
  }
  const int64_t now = MonotonicNow();
  Turn& turn = this->turn(now);
  turn.released = now;
  kept_ = held;
  // A loop that locks one path over and over would spend half its time on opening and closing, and
  // closing would end its turn. Everybody else sees the file closed when release() returns.
  if (turn.IsLoop() && request_.mode == Mode::kExclusive && WorthKeeping()) return kKept;
  CloseKept();
  return 0;
}

bool LockHandle::IsAwaited() const { return held() && Awaited(holding_.descriptor()) != 0; }

void LockHandle::CloseKept() {
  if (kept_ != kNoDescriptor) CloseIn(&kept_);
}

void LockHandle::CloseIn(Descriptor* place) {
  Close(std::exchange(*place, kNoDescriptor));
  has_turn_ = false;
}

void LockHandle::EndTurn() {
  if (std::exchange(has_turn_, false)) holdfast::EndTurn(open_);
}

void LockHandle::Discard() {
  if (waiter_ != nullptr && !waiter_->Abandon()) waiter_->Collect(&open_);
  waiter_.reset();
  has_turn_ = false;
  GiveBack(0);
  CloseKept();
}

int LockHandle::GiveBack(int result) {
  if (open_ == kNoDescriptor) return result;
  Unlock(open_);
  CloseIn(&open_);
  return result;
}

int LockHandle::Limit(int64_t milliseconds, const Holding::Expired& expired) {
  const int result = holding_.Limit(milliseconds, expired);
  return result < 0 ? Failure(Operation::kThread, result) : result;
}

}  // namespace holdfast
