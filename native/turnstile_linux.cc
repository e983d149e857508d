#include <fcntl.h>
#include <linux/magic.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdint>
#include <thread>

#include "turns.h"
#include "turnstile.h"

namespace holdfast {
namespace {

// Clients of file servers make byte ranges of both kinds of locks (flock(2), "NFS details").
bool ArePartOfFlock(Descriptor file) {
  struct statfs status;
  if (fstatfs(static_cast<int>(file), &status) != 0) return false;
  // Signed, and wider or not, depending on the processor (statfs(2)).
  switch (static_cast<uint32_t>(status.f_type)) {
    case NFS_SUPER_MAGIC:
    case V9FS_MAGIC:
    case AFS_FS_MAGIC:
      return true;
    default:
      return false;
  }
}

// Two bytes far behind any content. On Linux record locks and flock(2) do not see each other
// (flock(2), "NOTES"), and those of an open file description end with it (fcntl_locking(2)).
enum class Byte : int64_t { kQueue = INT64_C(0x7ffffffffffffff0), kTurn };

struct flock Locking(Byte byte, int16_t type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<int64_t>(byte);
  lock.l_len = 1;
  return lock;
}

// Whether a program that knows nothing of us, such as Java or lockf(3), has the byte, which it does
// when it locks the whole file. It must not count as a waiter, nor be waited for.
bool ForeignLock(const struct flock& lock) {
  constexpr pid_t kOpenFileDescription = -1;  // fcntl_locking(2), F_OFD_GETLK
  return lock.l_type != F_UNLCK && lock.l_pid != kOpenFileDescription;
}

struct flock LockOn(Descriptor file, Byte byte) {
  struct flock lock = Locking(byte, F_WRLCK);
  if (fcntl(static_cast<int>(file), F_OFD_GETLK, &lock) == -1) lock.l_type = F_UNLCK;
  return lock;
}

bool Taken(Descriptor file, Byte byte) {
  const struct flock lock = LockOn(file, byte);
  return lock.l_type != F_UNLCK && !ForeignLock(lock);
}

int SetLock(Descriptor file, Byte byte, int16_t type, int command = F_OFD_SETLK) {
  struct flock lock = Locking(byte, type);
  return fcntl(static_cast<int>(file), command, &lock);
}

// In steps, because whoever has the turn may need less of it; no longer than the turn, because it
// may have let the lock go and be busy with something else; and a little less, because a thread
// that is asleep when the lock comes free is late.
void SitOutTurn(Descriptor file) {
  constexpr int kSteps = 4;
  constexpr auto kStep = kTurn * 9 / 10 / kSteps;
  for (int step = 0; step < kSteps && Taken(file, Byte::kTurn); ++step) {
    // The 50 us that the kernel may add by itself are for programs that have time.
    prctl(PR_SET_TIMERSLACK, 1UL);
    std::this_thread::sleep_for(kStep);
  }
}

}  // namespace

void EnterTurnstile(Descriptor file) {
  if (ArePartOfFlock(file)) return;
  const bool first = SetLock(file, Byte::kQueue, F_WRLCK) == 0;
  if (!first && !ForeignLock(LockOn(file, Byte::kQueue))) {
    while (SetLock(file, Byte::kQueue, F_WRLCK, F_OFD_SETLKW) == -1 && errno == EINTR) {
    }
  }
  SitOutTurn(file);
}

void StandInLine(Descriptor file) {
  if (!ArePartOfFlock(file)) SetLock(file, Byte::kQueue, F_WRLCK);
}

void StandAside(Descriptor file) {
  if (!ArePartOfFlock(file)) SetLock(file, Byte::kQueue, F_UNLCK);
}

// A shared lock, because the one before may not have noticed yet that its turn is over.
void TakeTurn(Descriptor file) {
  if (!ArePartOfFlock(file)) SetLock(file, Byte::kTurn, F_RDLCK);
}

void EndTurn(Descriptor file) { SetLock(file, Byte::kTurn, F_UNLCK); }

// Whose byte it is, is asked only where it is somebody's: this is on the way of every shared lock.
int Awaited(Descriptor file) { return Taken(file, Byte::kQueue) && !ArePartOfFlock(file) ? 1 : 0; }

}  // namespace holdfast
