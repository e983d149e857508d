#include <fcntl.h>

#include <cerrno>
#include <cstdint>

#include "turnstile.h"

namespace holdfast {
namespace {

// One byte far behind any content. On Linux record locks and flock(2) do not see each other
// (flock(2), "NOTES"), and those of an open file description end with it (fcntl_locking(2)).
struct flock TurnstileByte(int16_t type) {
  struct flock byte = {};
  byte.l_type = type;
  byte.l_whence = SEEK_SET;
  byte.l_start = INT64_C(0x7ffffffffffffff0);
  byte.l_len = 1;
  return byte;
}

// Whether a program that knows nothing of us, such as Java or lockf(3), has the byte, which it does
// when it locks the whole file. It must not count as a waiter, nor be waited for.
bool ForeignLock(const struct flock& byte) {
  constexpr pid_t kOpenFileDescription = -1;  // fcntl_locking(2), F_OFD_GETLK
  return byte.l_type != F_UNLCK && byte.l_pid != kOpenFileDescription;
}

struct flock LockOnByte(int fd) {
  struct flock byte = TurnstileByte(F_WRLCK);
  if (fcntl(fd, F_OFD_GETLK, &byte) == -1) byte.l_type = F_UNLCK;
  return byte;
}

}  // namespace

void EnterTurnstile(int fd) {
  struct flock byte = TurnstileByte(F_WRLCK);
  if (fcntl(fd, F_OFD_SETLK, &byte) == 0 || ForeignLock(LockOnByte(fd))) return;
  while (fcntl(fd, F_OFD_SETLKW, &byte) == -1 && errno == EINTR) {
  }
}

void LeaveTurnstile(int fd) {
  struct flock byte = TurnstileByte(F_UNLCK);
  fcntl(fd, F_OFD_SETLK, &byte);
}

int TurnstileOccupied(int fd) {
  const struct flock byte = LockOnByte(fd);
  return byte.l_type != F_UNLCK && !ForeignLock(byte) ? 1 : 0;
}

}  // namespace holdfast
