#include "binding_probe.h"

#include "file_lock.h"

namespace holdfast {
namespace {

enum Answer : int { kFree = 0, kExclusive = 1, kSharers = 2 };

// One attempt whose lock is given back at once.
int Attempt(Descriptor descriptor, Mode mode) {
  const int result = TryLock(descriptor, mode);
  return result == 0 ? Unlock(descriptor) : result;
}

// A holder that comes and goes may leave just between two attempts, and look like a sharer once.
constexpr int kLooksAtSharers = 8;

// Exclusive first: that is one attempt for a free file, and a held one grants it nothing that
// anybody else would have to wait for.
int Try(Descriptor descriptor) {
  for (int look = 0; look < kLooksAtSharers; ++look) {
    const int exclusive = Attempt(descriptor, Mode::kExclusive);
    if (exclusive != kContended) return exclusive;
    const int shared = Attempt(descriptor, Mode::kShared);
    if (shared != 0) return shared == kContended ? kExclusive : shared;
  }
  return kSharers;
}

class Worker final : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, Descriptor descriptor)
      : AsyncWorker(env, "holdfast"), deferred_(env), descriptor_(descriptor) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  void Execute() override { answer_ = Try(descriptor_); }
  void OnOK() override { deferred_.Resolve(Napi::Number::New(Env(), answer_)); }

  const Napi::Promise::Deferred deferred_;
  const Descriptor descriptor_;
  int answer_ = kFree;
};

}  // namespace

Napi::Value Probe(const Napi::CallbackInfo& info) {
  // Deletes itself when it is done.
  auto* const worker = new Worker(info.Env(), FromNodeFd(info[0].As<Napi::Number>().Int32Value()));
  worker->Queue();
  return worker->promise();
}

}  // namespace holdfast
