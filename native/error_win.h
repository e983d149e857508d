// Windows error codes as the negative error numbers that Node knows (libuv, include/uv/errno.h and
// src/win/error.c, which addons have no function for).
#ifndef HOLDFAST_ERROR_WIN_H_
#define HOLDFAST_ERROR_WIN_H_

namespace holdfast {

inline constexpr int kErrorTryAgain = -4088;        // EAGAIN
inline constexpr int kErrorBadDescriptor = -4083;   // EBADF
inline constexpr int kErrorBusy = -4082;            // EBUSY
inline constexpr int kErrorInvalid = -4071;         // EINVAL
inline constexpr int kErrorInputOutput = -4070;     // EIO
inline constexpr int kErrorIsDirectory = -4068;     // EISDIR
inline constexpr int kErrorSymbolicLink = -4067;    // ELOOP
inline constexpr int kErrorTooManyFiles = -4066;    // EMFILE
inline constexpr int kErrorNameTooLong = -4064;     // ENAMETOOLONG
inline constexpr int kErrorNoEntry = -4058;         // ENOENT
inline constexpr int kErrorNoMemory = -4057;        // ENOMEM
inline constexpr int kErrorNoSpace = -4055;         // ENOSPC
inline constexpr int kErrorNotSupported = -4049;    // ENOTSUP
inline constexpr int kErrorAccessDenied = -4048;    // EPERM, as Node's own fs functions say
inline constexpr int kErrorReadOnlyVolume = -4043;  // EROFS
inline constexpr int kErrorUnknown = -4094;         // UNKNOWN

// Of the last system call of this thread.
int LastErrorNumber();

}  // namespace holdfast

#endif  // HOLDFAST_ERROR_WIN_H_
