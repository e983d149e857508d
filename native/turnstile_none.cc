// macOS keeps flock(2) and record locks in one list (xnu, bsd/kern/kern_lockf.c): a second kind of
// lock on the same file cannot serve as the queue there.
#include "turnstile.h"

namespace holdfast {

void EnterTurnstile(int) {}

void LeaveTurnstile(int) {}

void TryTurnstile(int) {}

void TakeTurn(int) {}

void GiveTurnUp(int) {}

int TurnstileOccupied(int) { return 0; }

}  // namespace holdfast
