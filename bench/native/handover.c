// Hand-over between two processes that block in flock(2): the floor of every hand-over figure.
//   handover PATH SAMPLES MIN_HOLD_US MAX_HOLD_US [HOLDER_CORE WAITER_CORE]
// Prints one line of microseconds for each hand-over, from just before the unlock to just after the grant.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "clock.h"

static int take(const char *path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) fail("open");
  if (flock(fd, LOCK_EX) != 0) fail("flock");
  return fd;
}

static void give(int fd) {
  flock(fd, LOCK_UN);
  close(fd);
}

static void stay_on(const char *core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(atoi(core), &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) != 0) fail("sched_setaffinity");
}

static void wait_and_tell(const char *path, int go, int granted) {
  char byte;
  while (read(go, &byte, 1) == 1) {
    const int fd = take(path);
    const double at = now_us();
    give(fd);
    if (write(granted, &at, sizeof at) != sizeof at) fail("write");
  }
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc != 5 && argc != 7) return 2;
  const char *path = argv[1];
  const double min_hold = atof(argv[3]), max_hold = atof(argv[4]);
  int go[2], granted[2];
  if (pipe(go) != 0 || pipe(granted) != 0) fail("pipe");
  const pid_t waiter = fork();
  if (waiter < 0) fail("fork");
  if (waiter == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(go[1]);
    if (argc == 7) stay_on(argv[6]);
    wait_and_tell(path, go[0], granted[1]);
  }
  if (argc == 7) stay_on(argv[5]);
  for (int i = atoi(argv[2]); i > 0; i--) {
    const int fd = take(path);
    if (write(go[1], "", 1) != 1) fail("write");
    sleep_us(min_hold + (max_hold - min_hold) * ((double)rand() / RAND_MAX));
    const double released = now_us();
    give(fd);
    double at;
    if (read(granted[0], &at, sizeof at) != sizeof at) fail("read");
    printf("%.2f\n", at - released);
  }
  close(go[1]);
  waitpid(waiter, NULL, 0);
  return 0;
}
