/* A program that knows nothing of holdfast and locks whole files, as Go, Rust and Deno do:
 *   lockfileex PATH exclusive|shared          one attempt; prints "held" or "contended" and ends
 *   lockfileex PATH exclusive|shared hold     waits, prints "held", and holds until it is ended
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

int main(int count, char **arguments) {
  const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
  HANDLE file = CreateFileA(arguments[1], GENERIC_READ | GENERIC_WRITE, share, NULL, OPEN_ALWAYS,
                            FILE_ATTRIBUTE_NORMAL, NULL);
  if (file == INVALID_HANDLE_VALUE) return 2;
  const int hold = count > 3;
  const DWORD flags = (strcmp(arguments[2], "exclusive") == 0 ? LOCKFILE_EXCLUSIVE_LOCK : 0) |
                      (hold ? 0 : LOCKFILE_FAIL_IMMEDIATELY);
  OVERLAPPED from_start = {0};
  const BOOL held = LockFileEx(file, flags, 0, MAXDWORD, MAXDWORD, &from_start);
  puts(held ? "held" : "contended");
  fflush(stdout);
  if (hold) Sleep(60 * 1000);
  return 0;
}
