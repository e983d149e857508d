// Tells how a file is locked, by trying.
#ifndef HOLDFAST_BINDING_PROBE_H_
#define HOLDFAST_BINDING_PROBE_H_

#include <napi.h>

namespace holdfast {

// (fd): a promise of 0 for free, 1 for held exclusively, 2 for held by sharers, or of a negative
// error number. Tried in Node's thread pool, because a network file system may take its time.
Napi::Value Probe(const Napi::CallbackInfo& info);

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_PROBE_H_
