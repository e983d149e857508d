// Threads of our own. std::thread cannot report that the system has no more threads without an
// exception, and it inherits the signal mask of whoever starts it.
#ifndef HOLDFAST_OS_THREAD_H_
#define HOLDFAST_OS_THREAD_H_

#include <functional>

namespace holdfast {

// Starts a detached thread in which no signal is delivered, so that none interrupts a wait in the
// kernel and costs it its place in the queue. Returns 0 or a negative error number.
int StartThread(std::function<void()> body);

// The same in a thread that has finished something else, if there is one: it parks for a while,
// because starting and ending a thread costs more than handing a lock over.
int RunInThread(std::function<void()> job);

// Keeps this module in memory until the process ends: Node unloads an addon with the last worker
// that loaded it, and a thread may still be blocked in our code then. Returns 0, or -1 on failure.
int PinModule();

}  // namespace holdfast

#endif  // HOLDFAST_OS_THREAD_H_
