// One use of one lock file: open, try, wait, hold, release. It owns the descriptor in every state,
// so that nothing is closed twice and nothing is left open. A handle is used again and again; all
// members but Expired callbacks run on the thread that made it.
#ifndef HOLDFAST_LOCK_HANDLE_H_
#define HOLDFAST_LOCK_HANDLE_H_

#include <memory>
#include <string>

#include "file_lock.h"
#include "holder_record.h"
#include "holding.h"
#include "lock_waiter.h"
#include "turns.h"

namespace holdfast {

// Which operation a negative result came from; src/system-error.ts has the same list.
enum class Operation : int { kOpen = 1, kLock, kUnlock, kStatus, kRead, kWrite, kFlush, kThread };

// Operation and error number in one negative value. What is not an error stays as it is.
inline int Failure(Operation operation, int error) {
  return error > 0 ? error : error - (static_cast<int>(operation) << 16);
}

// Release() has kept the descriptor: call CloseKept() at the end of this turn of the event loop.
inline constexpr int kKept = 1;

// More than kContended and kNotRegular, positive for the same reason.
inline constexpr int kForeign = 3;   // the file has content that is not a holder record
inline constexpr int kReplaced = 4;  // the lock file was deleted or replaced: start again
inline constexpr int kTooLong = 5;   // the holder record does not fit

struct Request {
  std::string path;
  size_t path_hash = 0;
  Mode mode = Mode::kExclusive;
  bool record = true;
  bool in_turn = false;  // no attempt before those who wait already
  bool past = false;     // an attempt as if nobody waited
  bool reads = false;    // nothing can be written then
  bool named = false;    // the lock file is whatever its user says it is
  bool flush = false;    // the record has to reach a file server before the lock is granted
  int permissions = 0600;
  uint64_t min_token = 0;
  RecordDetails details;

  bool writes() const { return record && mode == Mode::kExclusive; }
  Access access() const {
    if (writes()) return Access::kWrite;
    return reads ? Access::kRead : Access::kWriteIfAllowed;
  }
};

// What the handles of one environment share.
struct Surroundings {
  RecordWriter records;
  Turns turns;
  // Of the latest grant: the record of the last exclusive holder if that one never marked its
  // release, else empty.
  std::string crashed_record;
};

class LockHandle final {
 public:
  explicit LockHandle(Surroundings* surroundings) : surroundings_(surroundings) {}
  ~LockHandle();

  // Opens the lock file and makes one attempt. After kContended the file stays open, so that the
  // wait can begin, unless it is being deleted, or another program has it for itself:
  // then the wait is for a moment only, and ends with kReplaced. After everything else but 0 it is
  // closed.
  int TryAcquire(const Request& request);

  // Hands the open descriptor to a thread that waits for the lock.
  int BeginWait(const Request& request, LockWaiter::Ended ended);
  // Opens in that thread too, for file systems on which that may take long; with `once` it makes
  // one attempt and does not wait.
  int BeginRemote(const Request& request, bool once, LockWaiter::Ended ended);
  // See LockWaiter.
  bool AbandonWait();
  bool AdoptWait();
  int WaitFor(int64_t milliseconds);
  bool WaitHasEnded() const { return waiter_ != nullptr && waiter_->HasEnded(); }
  // The wait goes on for somebody else, in the same mode.
  void ChangeRequest(const Request& request);
  // Takes what the ended wait was granted.
  int FinishWait();

  // Grants the lock that is held here, still locked, to the next one.
  int HandOver(const Request& request);

  // Unlocks, then closes, or answers kKept when this path is locked again and again. A lock whose
  // unlocking failed is still held and can be released again.
  int Release();

  // Closes what is not held: a file that was only opened, or a wait that nobody needs.
  void Discard();

  // Closes what Release() kept.
  void CloseKept();

  // Ends everything, as the destructor does: the holder is gone without a word.
  void LetGo();

  int Limit(int64_t milliseconds, const Holding::Expired& expired);

  // Whether another process is known to wait for the lock that is held here.
  bool IsAwaited() const;
  bool held() const { return holding_.held(); }
  uint64_t token() const { return token_; }
  int64_t held_since() const { return held_since_; }
  const FileStatus& file() const { return file_; }

 private:
  void Prepare(const Request& request);
  int TryKept(const Request& request, int64_t now);
  int Attempt(const Request& request, int64_t now);
  int TryPast();
  Turn& turn(int64_t now) { return surroundings_->turns.Of(path_hash_, now); }
  // `stamped` is the token of the record that this very handle wrote, if it did.
  int Granted(const Request& request, uint64_t stamped = 0);
  int Begin(const Request& request, LockWaiter::Body body, LockWaiter::Ended ended);
  int CompareWithPath(const std::string& path);
  int StampRecord(const Request& request, uint64_t stamped);
  bool IsStamped(Descriptor descriptor);
  int GiveBack(int result);
  void EndTurn();
  void CloseIn(Descriptor* place);

  Surroundings* const surroundings_;
  // Of the request before: there may be many handles, so they do not keep all of it.
  size_t path_hash_ = 0;
  Mode mode_ = Mode::kExclusive;
  bool in_turn_ = false;
  // Whether other waiters leave this descriptor alone.
  bool has_turn_ = false;
  bool reused_ = false;  // the descriptor, for a second lock
  bool stamped_ = false;
  bool named_ = false;
  Descriptor open_ = kNoDescriptor;
  // Unlocked and of exclusive use, between two locks in quick succession.
  Descriptor kept_ = kNoDescriptor;
  std::shared_ptr<LockWaiter> waiter_;
  // What the waiter waits for.
  std::unique_ptr<Request> wanted_;
  Holding holding_;
  FileStatus file_;
  uint64_t token_ = 0;
  int64_t held_since_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_LOCK_HANDLE_H_
