#include "file_lock.h"

#include <windows.h>

#include <utility>

#include "byte_lock_win.h"
#include "error_win.h"
#include "turnstile_win.h"

// From the Windows Driver Kit, which an addon is not built with.
extern "C" DWORD NTAPI RtlGetLastNtStatus();

namespace holdfast {
namespace {

// Win32 calls this one "access denied", as it does other refusals.
constexpr DWORD kStatusDeletePending = 0xC0000056;

// Everybody may read, write, rename and delete the lock file while we have it open.
constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

// A virus scanner may refuse a new file to everybody for a moment: 1 + 2 + ... + 16 ms.
constexpr DWORD kLastGraceMilliseconds = 16;

HANDLE ToHandle(Descriptor descriptor) { return reinterpret_cast<HANDLE>(descriptor); }

int Result(BOOL succeeded) { return succeeded ? 0 : LastErrorNumber(); }

DWORD LockFlags(Mode mode) { return mode == Mode::kExclusive ? LOCKFILE_EXCLUSIVE_LOCK : 0; }

std::wstring ToUtf16(const std::string& text) {
  const int size = static_cast<int>(text.size());
  const int length = MultiByteToWideChar(CP_UTF8, 0, text.data(), size, nullptr, 0);
  std::wstring wide(static_cast<size_t>(length), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), size, wide.data(), length);
  return wide;
}

// The \\?\ form, as Node's own functions name files: it is taken literally, so no name is that of a
// device (NUL, con.txt), none loses dots or spaces at its end, and none is too long. The path has
// to be one that path.resolve() gave, absolute and with backslashes.
std::wstring ToSystemPath(const std::string& path) {
  const std::wstring wide = ToUtf16(path);
  const std::wstring start = wide.substr(0, 4);
  if (start == L"\\\\?\\" || start == L"\\\\.\\") return wide;
  if (start.compare(0, 2, L"\\\\") == 0) return L"\\\\?\\UNC" + wide.substr(1);
  return L"\\\\?\\" + wide;
}

// What a failed CreateFileW means. Contended: somebody has the file open without sharing it, or it
// is deleted but not yet closed by everybody.
int Refusal(const std::wstring& path) {
  const DWORD code = GetLastError();
  const int error = LastErrorNumber();
  if (code == ERROR_SHARING_VIOLATION || code == ERROR_DELETE_PENDING) return kContended;
  if (code != ERROR_ACCESS_DENIED) return error;
  if (RtlGetLastNtStatus() == kStatusDeletePending) return kContended;
  const DWORD attributes = GetFileAttributesW(path.c_str());
  const bool directory =
      attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  return directory ? kErrorIsDirectory : error;
}

// The reparse point itself is opened, never what it points to, so that the handle can be asked.
// No security attributes: the handle is not inheritable.
int OpenWith(const std::wstring& path, DWORD access, DWORD disposition, DWORD flags,
             Descriptor* out) {
  const HANDLE handle = CreateFileW(path.c_str(), access, kShareAll, nullptr, disposition,
                                    FILE_FLAG_OPEN_REPARSE_POINT | flags, nullptr);
  if (handle == INVALID_HANDLE_VALUE) return Refusal(path);
  *out = reinterpret_cast<Descriptor>(handle);
  return 0;
}

int OpenOnce(const std::wstring& path, Access access, Descriptor* out) {
  if (access == Access::kRead) {
    const int result = OpenWith(path, GENERIC_READ, OPEN_EXISTING, 0, out);
    if (result != kErrorNoEntry) return result;
  }
  const int result = OpenWith(path, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS, 0, out);
  // Contended: whoever runs a program shares it with those who read.
  const bool unwritable =
      result == kErrorAccessDenied || result == kErrorReadOnlyVolume || result == kContended;
  if (access == Access::kWriteIfAllowed && unwritable) {
    const int readable = OpenWith(path, GENERIC_READ, OPEN_EXISTING, 0, out);
    return readable == kErrorNoEntry ? result : readable;
  }
  return result;
}

int RefuseReparsePoint(Descriptor descriptor) {
  BY_HANDLE_FILE_INFORMATION information;
  if (GetFileType(ToHandle(descriptor)) != FILE_TYPE_DISK) return kNotRegular;
  const int result = Result(GetFileInformationByHandle(ToHandle(descriptor), &information));
  if (result != 0) return result;
  const bool reparse = (information.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0;
  return reparse ? kErrorSymbolicLink : 0;
}

}  // namespace

// Permissions do not exist in this form on Windows: a new file gets those of its directory.
int Open(const std::string& path, Access access, int, Descriptor* out) {
  const std::wstring wide = ToSystemPath(path);
  int result = OpenOnce(wide, access, out);
  for (DWORD pause = 1; pause <= kLastGraceMilliseconds; pause *= 2) {
    if (result != kErrorAccessDenied) break;
    Sleep(pause);
    result = OpenOnce(wide, access, out);
  }
  if (result != 0) return result;
  result = RefuseReparsePoint(*out);
  if (result != 0) Close(std::exchange(*out, kNoDescriptor));
  return result;
}

int TryLock(Descriptor descriptor, Mode mode) {
  return LockByte(ToHandle(descriptor), kLockByte, LockFlags(mode) | LOCKFILE_FAIL_IMMEDIATELY);
}

int Lock(Descriptor descriptor, Mode mode, bool, const std::atomic<bool>& wanted) {
  const TurnstilePlace place(descriptor);
  return wanted ? LockByte(ToHandle(descriptor), kLockByte, LockFlags(mode)) : kContended;
}

// Locks of one handle lie in layers, also a shared one over an exclusive one, and each has to be
// taken off.
int Unlock(Descriptor descriptor) {
  while (UnlockByte(ToHandle(descriptor), kLockByte)) {
  }
  // Wine says "lock violation".
  const DWORD code = GetLastError();
  return code == ERROR_NOT_LOCKED || code == ERROR_LOCK_VIOLATION ? 0 : LastErrorNumber();
}

int Close(Descriptor descriptor) { return Result(CloseHandle(ToHandle(descriptor))); }

int GetStatus(Descriptor descriptor, FileStatus* out) {
  const HANDLE handle = ToHandle(descriptor);
  BY_HANDLE_FILE_INFORMATION information;
  FILE_STANDARD_INFO standard;
  if (!GetFileInformationByHandle(handle, &information) ||
      !GetFileInformationByHandleEx(handle, FileStandardInfo, &standard, sizeof standard)) {
    return LastErrorNumber();
  }
  constexpr DWORD kIrregular = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT;
  if ((information.dwFileAttributes & kIrregular) != 0) return kNotRegular;
  out->volume = information.dwVolumeSerialNumber;
  out->file = uint64_t{information.nFileIndexHigh} << 32 | information.nFileIndexLow;
  out->size = static_cast<uint64_t>(standard.EndOfFile.QuadPart);
  out->linked = standard.NumberOfLinks > 0 && !standard.DeletePending;
  return 0;
}

int GetStatusAt(const std::string& path, FileStatus* out) {
  Descriptor descriptor = kNoDescriptor;
  // The flag is what lets a directory be opened.
  int result = OpenWith(ToSystemPath(path), FILE_READ_ATTRIBUTES, OPEN_EXISTING,
                        FILE_FLAG_BACKUP_SEMANTICS, &descriptor);
  if (result != 0) return result;
  result = GetStatus(descriptor, out);
  Close(descriptor);
  return result;
}

int Read(Descriptor descriptor, char* buffer, size_t size, size_t* count) {
  OVERLAPPED position = At(0);
  DWORD got = 0;
  const BOOL read =
      ReadFile(ToHandle(descriptor), buffer, static_cast<DWORD>(size), &got, &position);
  if (!read && GetLastError() != ERROR_HANDLE_EOF) return LastErrorNumber();
  *count = got;
  return 0;
}

int Write(Descriptor descriptor, const char* buffer, size_t size, size_t offset) {
  OVERLAPPED position = At(offset);
  DWORD put = 0;
  if (!WriteFile(ToHandle(descriptor), buffer, static_cast<DWORD>(size), &put, &position)) {
    const int error = LastErrorNumber();
    return error == kErrorAccessDenied ? kReadOnly : error;
  }
  return put == size ? 0 : kErrorNoSpace;
}

int Flush(Descriptor descriptor) {
  return FlushFileBuffers(ToHandle(descriptor)) ? 0 : LastErrorNumber();
}

// A path can only be asked by opening it.
bool WorthKeeping() { return false; }

void SkipAccessTimes(Descriptor) {}

// Node's numbers belong to the C run-time library inside Node, not to ours, so only Node can tell.
// Looked up by name: programs that have Node-API but not libuv could not load the addon otherwise.
Descriptor FromNodeFd(int fd) {
  using GetOsFileHandle = HANDLE (*)(int);
  static const auto get = reinterpret_cast<GetOsFileHandle>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(nullptr), "uv_get_osfhandle")));
  return get == nullptr ? kNoDescriptor : reinterpret_cast<Descriptor>(get(fd));
}

}  // namespace holdfast
