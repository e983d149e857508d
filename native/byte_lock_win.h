// A lock on one byte of an open file, with LockFileEx.
#ifndef HOLDFAST_BYTE_LOCK_WIN_H_
#define HOLDFAST_BYTE_LOCK_WIN_H_

#include <windows.h>

#include "error_win.h"
#include "file_lock.h"

namespace holdfast {

// LockFileEx is mandatory: nobody else could read a locked range. Bytes this far behind any content
// keep the file readable, and still conflict with programs that lock the whole file (Go, Rust).
inline constexpr uint64_t kLockByte = UINT64_C(0x7ffffffffffffff0);

// The argument through which these functions take the offset. Without an event in it and on a
// handle that was not opened for overlapped use they are synchronous.
inline OVERLAPPED At(uint64_t offset) {
  OVERLAPPED position = {};
  position.Offset = static_cast<DWORD>(offset);
  position.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return position;
}

inline constexpr DWORD kOneByte = 1;
inline constexpr DWORD kReserved = 0;
inline constexpr DWORD kHighPart = 0;

// 0, kContended or a negative error number; blocks without LOCKFILE_FAIL_IMMEDIATELY.
inline int LockByte(HANDLE file, uint64_t offset, DWORD flags) {
  OVERLAPPED position = At(offset);
  if (LockFileEx(file, flags, kReserved, kOneByte, kHighPart, &position)) return 0;
  return GetLastError() == ERROR_LOCK_VIOLATION ? kContended : LastErrorNumber();
}

inline bool UnlockByte(HANDLE file, uint64_t offset) {
  OVERLAPPED position = At(offset);
  return UnlockFileEx(file, kReserved, kOneByte, kHighPart, &position) != 0;
}

}  // namespace holdfast

#endif  // HOLDFAST_BYTE_LOCK_WIN_H_
