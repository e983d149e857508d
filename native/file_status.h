#ifndef HOLDFAST_FILE_STATUS_H_
#define HOLDFAST_FILE_STATUS_H_

namespace holdfast {

// Whether somebody may run this file.
bool IsProgram(const char* path);

// Whether the file system grants exclusive locks to descriptors only that could write: NFS.
bool LocksWritersOnly(const char* path);

}  // namespace holdfast

#endif  // HOLDFAST_FILE_STATUS_H_
