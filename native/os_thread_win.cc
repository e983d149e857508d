#include "os_thread.h"

#include <process.h>
#include <windows.h>

#include <memory>
#include <utility>

#include "error_win.h"

namespace holdfast {
namespace {

// As in os_thread_posix.cc; the default would be what node.exe asks for its main thread.
constexpr unsigned kStackBytes = 256 * 1024;

using Body = std::function<void()>;

unsigned __stdcall Run(void* opaque) {
  const std::unique_ptr<Body> body(static_cast<Body*>(opaque));
  (*body)();
  return 0;
}

}  // namespace

// Windows has no signals that could interrupt a wait. Not CreateThread: the C run-time library
// wants to set up what it keeps for each thread.
int StartThread(Body body) {
  auto start = std::make_unique<Body>(std::move(body));
  const uintptr_t thread = _beginthreadex(nullptr, kStackBytes, Run, start.get(),
                                          STACK_SIZE_PARAM_IS_A_RESERVATION, nullptr);
  if (thread == 0) return kErrorTryAgain;
  start.release();
  CloseHandle(reinterpret_cast<HANDLE>(thread));
  return 0;
}

int PinModule() {
  HMODULE self;
  constexpr DWORD kFlags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
  const auto address = reinterpret_cast<LPCWSTR>(&PinModule);
  return GetModuleHandleExW(kFlags, address, &self) ? 0 : -1;
}

}  // namespace holdfast
