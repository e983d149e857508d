// The contract between the locking code and an operating system. It names no Node-API type and no
// operating-system header; one file per system (file_lock_posix.cc, file_lock_win.cc) keeps it.
//
// Every function returns 0 or a negative error number as Node knows it (UV_E* on Windows, -errno
// elsewhere), unless its comment says otherwise.
#ifndef HOLDFAST_FILE_LOCK_H_
#define HOLDFAST_FILE_LOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace holdfast {

using Descriptor = intptr_t;  // a file descriptor, or a HANDLE on Windows
inline constexpr Descriptor kNoDescriptor = -1;

enum class Mode : uint8_t { kShared, kExclusive };

// Somebody else holds the lock: not an error, so it has a positive value of its own.
inline constexpr int kContended = 1;
// What stands at the path is not a regular file, so locking it would guard nothing.
inline constexpr int kNotRegular = 2;
// The descriptor was opened for reading only.
inline constexpr int kReadOnly = 6;

// What a descriptor is opened for.
enum class Access : uint8_t { kWrite, kWriteIfAllowed, kRead };

struct FileStatus {
  uint64_t volume = 0;
  uint64_t file = 0;
  uint64_t size = 0;
  bool linked = false;  // false once the last name of the file was removed

  bool SameFile(const FileStatus& other) const {
    return volume == other.volume && file == other.file;
  }
};

// Opens the lock file, creating it with exactly `permissions` where it is missing. Never follows a
// symbolic link, never truncates, never blocks. A read-only descriptor can be locked as well, but
// not wait in the turnstile. Returns kContended when another program has the file for itself, or
// has deleted it but not closed it (Windows).
int Open(const std::string& path, Access access, int permissions, Descriptor* out);

// One attempt. Returns kContended when the lock is held elsewhere.
int TryLock(Descriptor descriptor, Mode mode);

// Blocks the calling thread until the lock is granted, in the order of arrival. Only for threads of
// our own: it cannot be revoked. With `for_turn` the lock is wanted again and again: where the
// system can, other waiters leave this descriptor alone for a turn, until EndTurn() or Close().
// Returns kContended when `wanted` is false by the time that it is the next one to get the lock.
// Whatever it returns, StandAside() has to follow: the next one looks for the turn then.
int Lock(Descriptor descriptor, Mode mode, bool for_turn, const std::atomic<bool>& wanted);
void EndTurn(Descriptor descriptor);

// Also for another thread than the one in Lock(), after a change of `wanted`; never blocks. A
// waiter keeps those out who could share the lock with its holder, which one that nobody wants must
// not do.
void StandAside(Descriptor descriptor);
// Goes to the front of the queue if nobody is in it.
void StandInLine(Descriptor descriptor);

// Whether somebody is known to be blocked in Lock() on this file: 1 or 0, never an error. A system
// that cannot tell answers 0.
int Awaited(Descriptor descriptor);

int Unlock(Descriptor descriptor);
int Close(Descriptor descriptor);

// Return kNotRegular for anything but a regular file.
int GetStatus(Descriptor descriptor, FileStatus* out);
int GetStatusAt(const std::string& path, FileStatus* out);

// Reads at most `size` bytes from the file's start and sets `*count`.
int Read(Descriptor descriptor, char* buffer, size_t size, size_t* count);
// Writes all of `size` bytes at `offset` or fails; a short write is reported as no space. Returns
// kReadOnly for a descriptor that Open() gave to somebody who does not write.
int Write(Descriptor descriptor, const char* buffer, size_t size, size_t offset);
// Returns once what was written is where it is kept: on a disk, or with a file server.
int Flush(Descriptor descriptor);

// Whether GetStatusAt() is so much cheaper than Open() and Close() that a descriptor is worth
// keeping between two locks of the same path in quick succession.
bool WorthKeeping();

// Has what is read through it leave no trace, if the system allows that: else the kernel looks at
// each read of a file that was written meanwhile whether to note the time.
void SkipAccessTimes(Descriptor descriptor);

// The descriptor behind a file descriptor number that JavaScript knows.
Descriptor FromNodeFd(int fd);

}  // namespace holdfast

#endif  // HOLDFAST_FILE_LOCK_H_
