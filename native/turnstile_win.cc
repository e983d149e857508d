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

void TurnstilePlace::Leave(Descriptor descriptor) {
  const ListGuard guard;
  for (const TurnstilePlace* place = first_place; place != nullptr; place = place->next_) {
    if (place->descriptor_ == descriptor) UnlockByte(place->file_, kTurnstileByte);
  }
}

void TurnstilePlace::TryReturn(Descriptor descriptor) {
  const ListGuard guard;
  for (const TurnstilePlace* place = first_place; place != nullptr; place = place->next_) {
    if (place->descriptor_ == descriptor) {
      LockByte(place->file_, kTurnstileByte, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY);
    }
  }
}

}  // namespace holdfast
