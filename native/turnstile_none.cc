// macOS keeps flock(2) and record locks in one list (xnu, bsd/kern/kern_lockf.c): a second kind of
// lock on the same file cannot serve as the queue there.
#include "turnstile.h"

namespace holdfast {

void EnterTurnstile(Descriptor) {}

void StandAside(Descriptor) {}

void StandInLine(Descriptor) {}

void TakeTurn(Descriptor) {}

void EndTurn(Descriptor) {}

int Awaited(Descriptor) { return 0; }

}  // namespace holdfast
