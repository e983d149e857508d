#include "turnstile_win.h"

#include "byte_lock_win.h"

namespace holdfast {
namespace {

// Neither needs a constructor or a destructor: threads may outlive the statics.
SRWLOCK list_lock = SRWLOCK_INIT;
TurnstilePlace* first_place = nullptr;

class ListGuard final {
 public:
  ListGuard() { AcquireSRWLockExclusive(&list_lock); }
  ~ListGuard() { ReleaseSRWLockExclusive(&list_lock); }
};

// Whoever waits stands on this byte: readers that come later could otherwise pass a waiting writer
// for ever. The same queue as in turnstile.h.
constexpr uint64_t kTurnstileByte = kLockByte + 1;

constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

}  // namespace

TurnstilePlace::TurnstilePlace(Descriptor descriptor)
    : descriptor_(descriptor),
      file_(ReOpenFile(reinterpret_cast<HANDLE>(descriptor), GENERIC_READ, kShareAll, 0)) {
  if (file_ == INVALID_HANDLE_VALUE) return;
  LockByte(file_, kTurnstileByte, LOCKFILE_EXCLUSIVE_LOCK);
  const ListGuard guard;
  next_ = first_place;
  first_place = this;
}

TurnstilePlace::~TurnstilePlace() {
  if (file_ == INVALID_HANDLE_VALUE) return;
  {
    const ListGuard guard;
    TurnstilePlace** link = &first_place;
    while (*link != this) link = &(*link)->next_;
    *link = next_;
  }
  UnlockByte(file_, kTurnstileByte);
  CloseHandle(file_);
}

const TurnstilePlace* TurnstilePlace::Of(Descriptor descriptor) {
  const TurnstilePlace* place = first_place;
  while (place != nullptr && place->descriptor_ != descriptor) place = place->next_;
  return place;
}

void StandAside(Descriptor descriptor) {
  const ListGuard guard;
  const TurnstilePlace* const place = TurnstilePlace::Of(descriptor);
  if (place != nullptr) UnlockByte(place->file(), kTurnstileByte);
}

void StandInLine(Descriptor descriptor) {
  constexpr DWORD kAtOnce = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
  const ListGuard guard;
  const TurnstilePlace* const place = TurnstilePlace::Of(descriptor);
  if (place != nullptr) LockByte(place->file(), kTurnstileByte, kAtOnce);
}

void EndTurn(Descriptor) {}

// Asked with a shared lock: that goes together with the shared lock of a program on the whole file.
int Awaited(Descriptor descriptor) {
  const HANDLE file = reinterpret_cast<HANDLE>(descriptor);
  const int result = LockByte(file, kTurnstileByte, LOCKFILE_FAIL_IMMEDIATELY);
  if (result == 0) UnlockByte(file, kTurnstileByte);
  return result == kContended ? 1 : 0;
}

}  // namespace holdfast
