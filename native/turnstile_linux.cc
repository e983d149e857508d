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

}  // namespace

void EnterTurnstile(int fd) {
  struct flock byte = TurnstileByte(F_WRLCK);
  while (fcntl(fd, F_OFD_SETLKW, &byte) == -1 && errno == EINTR) {
  }
}

void LeaveTurnstile(int fd) {
  struct flock byte = TurnstileByte(F_UNLCK);
  fcntl(fd, F_OFD_SETLK, &byte);
}

int TurnstileOccupied(int fd) {
  struct flock byte = TurnstileByte(F_WRLCK);
  return fcntl(fd, F_OFD_GETLK, &byte) == 0 && byte.l_type != F_UNLCK ? 1 : 0;
}

}  // namespace holdfast
