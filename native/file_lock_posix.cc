#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "file_lock.h"
#include "turnstile.h"

namespace holdfast {
namespace {

// No signal may cut a system call short.
template <typename Call>
auto Retry(Call call) -> decltype(call()) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

int Result(int64_t result) { return result == -1 ? -errno : 0; }

// O_NONBLOCK: a FIFO planted at the path must not block the open.
constexpr int kOpenFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

// Only of a descriptor, not for the open: that fails for whoever does not own the file (open(2)).
#ifdef O_NOATIME
constexpr int kNoAccessTimes = O_NOATIME;
#else
constexpr int kNoAccessTimes = 0;
#endif

int FlockOperation(Mode mode) { return mode == Mode::kExclusive ? LOCK_EX : LOCK_SH; }

int OpenWith(const char* path, int flags, mode_t permissions, Descriptor* out) {
  const int fd = Retry([&] { return open(path, flags | kOpenFlags, permissions); });
  // A file server has it for itself (fcntl(2), F_SETLEASE), and has just been asked to stop.
  if (fd == -1) return errno == EWOULDBLOCK ? kContended : -errno;
  *out = fd;
  return 0;
}

// The new file's mode is exact, whatever the umask: a mode that others may open was asked for.
int Create(const char* path, mode_t permissions, Descriptor* out) {
  const int result = OpenWith(path, O_RDWR | O_CREAT | O_EXCL, permissions & S_IRWXU, out);
  if (result != 0) return result;
  const int changed = Result(Retry([&] { return fchmod(static_cast<int>(*out), permissions); }));
  // A file system without permissions refuses, and needs none for the file's own user.
  if (changed == 0 || (permissions & S_IRWXU) == permissions) return 0;
  Close(std::exchange(*out, kNoDescriptor));
  return changed;
}

}  // namespace

int Open(const std::string& path, Access access, int permissions, Descriptor* out) {
  if (access == Access::kRead) {
    const int result = OpenWith(path.c_str(), O_RDONLY, 0, out);
    if (result != -ENOENT) return result;
  }
  // Without O_CREAT first: with it, fs.protected_regular refuses somebody else's existing file in a
  // sticky world-writable directory, even to root (proc_sys_fs(5)).
  int result = OpenWith(path.c_str(), O_RDWR, 0, out);
  while (result == -ENOENT) {
    result = Create(path.c_str(), static_cast<mode_t>(permissions), out);
    if (result != -EEXIST) break;
    // Somebody created it first, and may delete it again before this open.
    result = OpenWith(path.c_str(), O_RDWR, 0, out);
  }
  const bool unwritable =
      result == -EACCES || result == -EROFS || result == -EPERM || result == -ETXTBSY;
  if (access == Access::kWriteIfAllowed && unwritable) {
    const int readable = OpenWith(path.c_str(), O_RDONLY, 0, out);
    return readable == -ENOENT ? result : readable;
  }
  return result;
}

int TryLock(Descriptor descriptor, Mode mode) {
  const int fd = static_cast<int>(descriptor);
  const int operation = FlockOperation(mode) | LOCK_NB;
  const int result = Result(Retry([&] { return flock(fd, operation); }));
  // Linux says EACCES of a lock on SMB that is held elsewhere. A policy that forbids to lock says
  // so too (SELinux, AppArmor), and forbids to unlock as well.
  if (result == -EACCES && Unlock(descriptor) == 0) return kContended;
  return result == -EWOULDBLOCK ? kContended : result;
}

int Lock(Descriptor descriptor, Mode mode, bool for_turn, const std::atomic<bool>& wanted) {
  const int fd = static_cast<int>(descriptor);
  EnterTurnstile(descriptor);
  if (!wanted) return kContended;
  const int result = Result(Retry([&] { return flock(fd, FlockOperation(mode)); }));
  if (for_turn && result == 0) TakeTurn(descriptor);
  return result;
}

int Unlock(Descriptor descriptor) {
  const int fd = static_cast<int>(descriptor);
  return Result(Retry([&] { return flock(fd, LOCK_UN); }));
}

// Not retried: after EINTR the number may already belong to somebody else (close(2)).
int Close(Descriptor descriptor) { return Result(close(static_cast<int>(descriptor))); }

int Read(Descriptor descriptor, char* buffer, size_t size, size_t* count) {
  const int fd = static_cast<int>(descriptor);
  const ssize_t got = Retry([&] { return pread(fd, buffer, size, 0); });
  if (got == -1) return -errno;
  *count = static_cast<size_t>(got);
  return 0;
}

int Write(Descriptor descriptor, const char* buffer, size_t size, size_t offset) {
  const int fd = static_cast<int>(descriptor);
  const ssize_t put = Retry([&] { return pwrite(fd, buffer, size, static_cast<off_t>(offset)); });
  if (put == -1) return errno == EBADF ? kReadOnly : -errno;
  return static_cast<size_t>(put) == size ? 0 : -ENOSPC;
}

int Flush(Descriptor descriptor) {
  const int fd = static_cast<int>(descriptor);
  return Result(Retry([&] { return fsync(fd); }));
}

bool WorthKeeping() { return true; }

void SkipAccessTimes(Descriptor descriptor) {
  fcntl(static_cast<int>(descriptor), F_SETFL, O_NONBLOCK | kNoAccessTimes);
}

Descriptor FromNodeFd(int fd) { return fd; }

}  // namespace holdfast
