// Threads that wait for a lock come and go; one that has finished parks for a while, because
// starting and ending a thread costs more than handing a lock over.
#ifndef HOLDFAST_PARKED_THREAD_H_
#define HOLDFAST_PARKED_THREAD_H_

#include <functional>

namespace holdfast {

// Runs the job in a parked thread, or in a new one. Returns 0 or a negative error number.
int RunInThread(std::function<void()> job);

}  // namespace holdfast

#endif  // HOLDFAST_PARKED_THREAD_H_
