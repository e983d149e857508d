#include "error_win.h"

#include <windows.h>

namespace holdfast {

int LastErrorNumber() {
  switch (GetLastError()) {
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_DIRECTORY:
    case ERROR_FILE_NOT_FOUND:
    case ERROR_INVALID_DRIVE:
    case ERROR_INVALID_NAME:
    case ERROR_PATH_NOT_FOUND:
      return kErrorNoEntry;
    case ERROR_ACCESS_DENIED:
    case ERROR_PRIVILEGE_NOT_HELD:
      return kErrorAccessDenied;
    case ERROR_DELETE_PENDING:
    case ERROR_LOCK_VIOLATION:
    case ERROR_SHARING_VIOLATION:
      return kErrorBusy;
    case ERROR_WRITE_PROTECT:
      return kErrorReadOnlyVolume;
    case ERROR_INVALID_HANDLE:
      return kErrorBadDescriptor;
    case ERROR_TOO_MANY_OPEN_FILES:
      return kErrorTooManyFiles;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_OUTOFMEMORY:
      return kErrorNoMemory;
    case ERROR_MAX_THRDS_REACHED:
      return kErrorTryAgain;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
      return kErrorNoSpace;
    case ERROR_FILENAME_EXCED_RANGE:
      return kErrorNameTooLong;
    case ERROR_CANT_RESOLVE_FILENAME:
      return kErrorSymbolicLink;
    // Said by a file system without byte-range locks.
    case ERROR_INVALID_FUNCTION:
    case ERROR_NOT_SUPPORTED:
      return kErrorNotSupported;
    case ERROR_INVALID_PARAMETER:
      return kErrorInvalid;
    case ERROR_CRC:
    case ERROR_IO_DEVICE:
    case ERROR_NETNAME_DELETED:
    case ERROR_NOT_READY:
    case ERROR_UNEXP_NET_ERR:
      return kErrorInputOutput;
    default:
      return kErrorUnknown;
  }
}

}  // namespace holdfast
