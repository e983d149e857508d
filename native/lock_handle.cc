#include "lock_handle.h"

#include <algorithm>
#include <utility>

namespace holdfast {
namespace {

// Each turn of the loop means that somebody deleted the file between open and lock, or is about to:
// XFS drops the link count long before the name is gone.
constexpr int kMostReopens = 100;

}  // namespace

LockHandle::~LockHandle() { LetGo(); }

void LockHandle::LetGo() {
  Discard();
  // Not marked as released: whoever comes next learns that this holder never said it was done.
  open_ = holding_.Take();
  GiveBack(0);
}

void LockHandle::Prepare(const Request& request) {
  // Paths of one hash are told apart by the look at the path that follows each lock.
  if (request.path_hash != path_hash_ || request.mode == Mode::kShared) CloseKept();
  path_hash_ = request.path_hash;
  mode_ = request.mode;
  in_turn_ = request.in_turn;
  named_ = request.named;
}

int LockHandle::TryAcquire(const Request& request) {
  Prepare(request);
  const int64_t now = MonotonicNow();
  turn(now).Ask(now);
  if (kept_ != kNoDescriptor) {
    const int result = TryKept(request, now);
    if (result != kReplaced) return result;
  }
  for (int attempt = 0; attempt < kMostReopens; ++attempt) {
    int result = Open(request.path, request.access(), request.permissions, &open_);
    if (result != 0) {
      file_ = {};
      return Failure(Operation::kOpen, result);
    }

    result = Attempt(request, now);
    if (result < 0) return GiveBack(result);

    const int status = GetStatus(open_, &file_);
    if (status != 0) return GiveBack(status < 0 ? Failure(Operation::kStatus, status) : status);
    if (file_.linked) return result == kContended ? kContended : Granted(request);
    GiveBack(0);
  }
  // Rather than a busy loop: whoever deletes it is at it for longer.
  file_ = {};
  return kContended;
}

// The same with the descriptor of the lock before this one, if it is still that of the path.
int LockHandle::TryKept(const Request& request, int64_t now) {
  open_ = std::exchange(kept_, kNoDescriptor);
  // Not when it is opened: most are used once.
  if (!std::exchange(reused_, true)) SkipAccessTimes(open_);
  const int result = Attempt(request, now);
  if (result < 0) return GiveBack(result);
  const int same = CompareWithPath(request.path);
  if (same != 0) return GiveBack(same);
  return result == kContended ? kContended : Granted(request);
}

int LockHandle::Attempt(const Request& request, int64_t now) {
  Turn& turn = this->turn(now);
  const bool yields = !request.past && (mode_ == Mode::kShared || turn.IsOver(now));
  if (in_turn_ || (yields && Awaited(open_) != 0)) return kContended;
  const int result = request.past ? TryPast() : TryLock(open_, mode_);
  if (result < 0) return Failure(Operation::kLock, result);
  if (yields && result == 0) {
    turn.Extend(now);
    EndTurn();
  }
  held_since_ = now;
  return result;
}

// Only where nobody has it at all: a writer that waits for readers is not passed by other readers.
int LockHandle::TryPast() {
  const int result = TryLock(open_, Mode::kExclusive);
  if (result != 0 || mode_ == Mode::kExclusive) return result;
  // Two locks on Windows, of which each would need its own unlocking.
  Unlock(open_);
  return TryLock(open_, mode_);
}

// The wait may have been long: somebody may have deleted or renamed the file and made a new one.
int LockHandle::CompareWithPath(const std::string& path) {
  if (!file_.linked) {
    // Opened by the waiting thread, so nothing is known of it yet.
    const int status = GetStatus(open_, &file_);
    if (status != 0) return status < 0 ? Failure(Operation::kStatus, status) : status;
  }
  FileStatus at_path;
  const bool same = GetStatusAt(path, &at_path) == 0 && at_path.SameFile(file_);
  if (same) file_ = at_path;
  return same ? 0 : kReplaced;
}

int LockHandle::HandOver(const Request& request) {
  const Mode before = mode_;
  open_ = holding_.Take();
  if (open_ == kNoDescriptor) return kReplaced;
  stamped_ = IsStamped(open_);
  Prepare(request);
  // The next one will not say in the record that the one before is done.
  if (stamped_ && !request.writes()) Write(open_, kStateFree, kStateBytes, kStateOffset);
  if (before != mode_) {
    // The old lock is gone before the new one is there (flock(2)), so this may fail, or succeed
    // when others have had the lock and written their records.
    stamped_ = false;
    if (Unlock(open_) != 0) return GiveBack(kReplaced);
    const int result = TryLock(open_, mode_);
    if (result != 0) return result < 0 ? GiveBack(Failure(Operation::kLock, result)) : result;
  }
  held_since_ = MonotonicNow();
  if (CompareWithPath(request.path) != 0) return GiveBack(kReplaced);
  return Granted(request, stamped_ ? token_ : 0);
}

int LockHandle::Granted(const Request& request, uint64_t stamped) {
  surroundings_->crashed_record.clear();
  token_ = 0;
  stamped_ = false;
  if (request.record) {
    const int result = StampRecord(request, stamped);
    if (result != 0) return GiveBack(result);
  }
  holding_.Begin(std::exchange(open_, kNoDescriptor));
  return 0;
}

int LockHandle::StampRecord(const Request& request, uint64_t stamped) {
  char buffer[kRecordBytes];
  RecordScan scan;
  if (stamped != 0) {
    // Its record says "held" still, which is no crash.
    scan.token = stamped;
  } else {
    size_t size = 0;
    const int result = file_.size == 0 ? 0 : Read(open_, buffer, sizeof buffer, &size);
    if (result != 0) return Failure(Operation::kRead, result);
    scan = ScanRecord(buffer, size, file_.size);
    if (scan.foreign) return kForeign;
    if (scan.held) surroundings_->crashed_record.assign(buffer, size);
  }
  token_ = std::max(scan.token, request.min_token);
  if (request.mode == Mode::kShared) return 0;
  token_ += 1;
  const char* const record = surroundings_->records.Write(request.details, token_, held_since_);
  if (record == nullptr) return kTooLong;
  const int result = Write(open_, record, kRecordBytes, 0);
  // Taken over from somebody who does not write; opening it anew tells why that may not be.
  if (result == kReadOnly) return kReplaced;
  if (result != 0) return Failure(Operation::kWrite, result);
  stamped_ = true;
  const int flushed = request.flush ? Flush(open_) : 0;
  return flushed == 0 ? 0 : Failure(Operation::kFlush, flushed);
}

// Whoever names the lock file may hold it for what is in it, and may have put something else there.
bool LockHandle::IsStamped(Descriptor descriptor) {
  if (!stamped_ || !named_) return stamped_;
  char start[kStartBytes];
  size_t size = 0;
  return Read(descriptor, start, sizeof start, &size) == 0 && IsStartOfHeld(start, size);
}

int LockHandle::Release() {
  int64_t deadline = 0;
  const Descriptor held = holding_.Take(&deadline);
  if (held == kNoDescriptor) return 0;
  stamped_ = IsStamped(held);
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
  if (turn.IsLoop() && mode_ == Mode::kExclusive && WorthKeeping()) return kKept;
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
  reused_ = false;
}

void LockHandle::EndTurn() {
  if (std::exchange(has_turn_, false)) holdfast::EndTurn(open_);
}

void LockHandle::Discard() {
  if (waiter_ != nullptr && !waiter_->Abandon()) waiter_->Collect(&open_);
  waiter_.reset();
  wanted_.reset();
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
