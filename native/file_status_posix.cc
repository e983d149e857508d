#include "file_status_posix.h"

#include <sys/stat.h>

namespace holdfast {

int GetStatus(Descriptor descriptor, FileStatus* out) {
  struct stat status;
  return FromStat(fstat(static_cast<int>(descriptor), &status), status, out);
}

int GetStatusAt(const std::string& path, FileStatus* out) {
  struct stat status;
  return FromStat(lstat(path.c_str(), &status), status, out);
}

}  // namespace holdfast
