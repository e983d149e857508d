// For builds that have the C++ run-time library inside. Its last words about an uncaught exception
// name the exception's type in readable form, and the code for that is larger than all of ours.
// Whatever is defined here is not taken from the library.
#include <cstddef>

extern "C" char* __cxa_demangle(const char*, char*, size_t*, int* status) {
  *status = -1;
  return nullptr;
}
