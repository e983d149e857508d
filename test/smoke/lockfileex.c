/* A program that knows nothing of holdfast:
 *   lockfileex PATH exclusive|shared          locks the whole file, as Go, Rust and Deno do; one
 *                                             attempt; prints "held" or "contended" and ends
 *   lockfileex PATH exclusive|shared hold     waits, prints "held", and holds until it is ended
 *   lockfileex PATH unshared                  opens the file so that nobody else can, prints "held",
 *                                             and keeps it open until it is ended
 *   lockfileex PATH deleted                   the same with a file that it has deleted; prints
 *                                             "openable" and ends where others still can open that
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static void report(const char *state) {
  puts(state);
  fflush(stdout);
}

static HANDLE open_file(const char *path, DWORD access, DWORD share) {
  return CreateFileA(path, access, share, NULL, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
}

static int keep(HANDLE file, BOOL succeeded) {
  if (file == INVALID_HANDLE_VALUE || !succeeded) return 2;
  report("held");
  Sleep(60 * 1000);
  return 0;
}

static int keep_deleted(const char *path, DWORD share) {
  const HANDLE file = open_file(path, GENERIC_READ | DELETE, share);
  FILE_DISPOSITION_INFO deleted = {TRUE};
  const BOOL done = SetFileInformationByHandle(file, FileDispositionInfo, &deleted, sizeof deleted);
  const HANDLE again = open_file(path, GENERIC_READ, share);
  if (again == INVALID_HANDLE_VALUE) return keep(file, done);
  report("openable");
  return 0;
}

static int lock_whole(const char *path, const char *mode, BOOL hold, DWORD share) {
  const HANDLE file = open_file(path, GENERIC_READ | GENERIC_WRITE, share);
  const DWORD flags = (strcmp(mode, "exclusive") == 0 ? LOCKFILE_EXCLUSIVE_LOCK : 0) |
                      (hold ? 0 : LOCKFILE_FAIL_IMMEDIATELY);
  OVERLAPPED from_start = {0};
  const BOOL held = LockFileEx(file, flags, 0, MAXDWORD, MAXDWORD, &from_start);
  if (hold) return keep(file, held);
  if (file == INVALID_HANDLE_VALUE) return 2;
  report(held ? "held" : "contended");
  return 0;
}

int main(int count, char **arguments) {
  const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
  const char *path = arguments[1];
  const char *how = arguments[2];
  if (strcmp(how, "deleted") == 0) return keep_deleted(path, share);
  if (strcmp(how, "unshared") == 0) return keep(open_file(path, GENERIC_READ, 0), TRUE);
  return lock_whole(path, how, count > 3, share);
}
