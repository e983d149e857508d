// A queue before the lock, so that whoever waits is not overtaken for ever.
//
// flock(2) wakes its waiters in order, but hands nothing over: a process that takes the lock again
// at once beats the woken waiter, and later readers pass a waiting writer. A waiter therefore
// stands in the turnstile while it waits, and whoever would take the lock repeatedly looks there
// first. Programs that know nothing of it (flock(1)) still exclude ours; they are only not as
// polite. Programs that take record locks on the whole file do not exclude ours, but find it locked
// while somebody waits. A file system that cannot keep the queue costs fairness, never exclusion,
// so errors are not reported; file servers have none, because both kinds of locks are one there.
// The rest of it is in file_lock.h.
#ifndef HOLDFAST_TURNSTILE_H_
#define HOLDFAST_TURNSTILE_H_

#include "file_lock.h"

namespace holdfast {

// Blocks until this descriptor is the first in the queue, and then for as long as somebody else has
// a turn, which is no longer than a turn may be.
void EnterTurnstile(Descriptor file);

// A turn belongs to whoever takes the lock in a loop. Without it the first in the queue is woken by
// each release, and wins the lock now and then: turns end by chance, and each costs a hand-over.
void TakeTurn(Descriptor file);

}  // namespace holdfast

#endif  // HOLDFAST_TURNSTILE_H_
