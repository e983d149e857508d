#ifndef HOLDFAST_FILE_STATUS_POSIX_H_
#define HOLDFAST_FILE_STATUS_POSIX_H_

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "file_lock.h"

namespace holdfast {

// What a call of the stat(2) family has answered and filled in.
inline int FromStat(int result, const struct stat& status, FileStatus* out) {
  if (result == -1) return -errno;
  if (!S_ISREG(status.st_mode)) return kNotRegular;
  out->volume = static_cast<uint64_t>(status.st_dev);
  out->file = static_cast<uint64_t>(status.st_ino);
  out->size = static_cast<uint64_t>(status.st_size);
  out->linked = status.st_nlink > 0;
  return 0;
}

}  // namespace holdfast

#endif  // HOLDFAST_FILE_STATUS_POSIX_H_
