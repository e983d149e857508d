#include <sys/stat.h>

#include <cerrno>

#include "file_lock.h"

namespace holdfast {
namespace {

int FromStat(int result, const struct stat& status, FileStatus* out) {
  if (result == -1) return -errno;
  if (!S_ISREG(status.st_mode)) return kNotRegular;
  out->volume = static_cast<uint64_t>(status.st_dev);
  out->file = static_cast<uint64_t>(status.st_ino);
  out->size = static_cast<uint64_t>(status.st_size);
  out->linked = status.st_nlink > 0;
  return 0;
}

}  // namespace

int GetStatus(Descriptor descriptor, FileStatus* out) {
  struct stat status;
  return FromStat(fstat(static_cast<int>(descriptor), &status), status, out);
}

int GetStatusAt(const std::string& path, FileStatus* out) {
  struct stat status;
  return FromStat(lstat(path.c_str(), &status), status, out);
}

}  // namespace holdfast
