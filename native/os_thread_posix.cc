#include "os_thread.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

#include <memory>
#include <utility>

namespace holdfast {
namespace {

// Enough for a blocking system call and a call into Node's thread-safe function, also under
// AddressSanitizer; musl's default would be 128 KiB and glibc's 8 MiB of address space each.
constexpr size_t kStackBytes = 256 * 1024;

using Body = std::function<void()>;

void* Run(void* opaque) {
  const std::unique_ptr<Body> body(static_cast<Body*>(opaque));
  (*body)();
  return nullptr;
}

}  // namespace

int StartThread(Body body) {
  auto start = std::make_unique<Body>(std::move(body));
  pthread_attr_t attributes;
  int result = pthread_attr_init(&attributes);
  if (result != 0) return -result;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);

  // The new thread inherits the mask, so that not even its first instruction can be interrupted.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  result = pthread_create(&thread, &attributes, Run, start.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);

  pthread_attr_destroy(&attributes);
  if (result == 0) start.release();
  return -result;
}

int PinModule() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&PinModule), &self) == 0) return -1;
  // Never closed: RTLD_NODELETE makes that harmless and says what is meant.
  return dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == nullptr ? -1 : 0;
}

}  // namespace holdfast
