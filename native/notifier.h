// How threads reach the event loop of the environment that started them.
#ifndef HOLDFAST_NOTIFIER_H_
#define HOLDFAST_NOTIFIER_H_

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace holdfast {

// Tells the listener the subject and a result. Of a positive subject, the number of a handle, the
// wait has ended, and is finished before; a negative one stands for a lease that has ended.
void CallListener(Napi::Env env, Napi::Function listener, std::nullptr_t*, void* subject);

using Listener = Napi::TypedThreadSafeFunction<std::nullptr_t, void, CallListener>;

// Tells JavaScript that a wait or a lease has ended. Threads may outlive the environment that
// wanted to know, so they share this and find it closed.
class Notifier final {
 public:
  Notifier(Napi::Env env, Napi::Function listener)
      : listener_(Listener::New(env, listener, "holdfast", 0, 1)) {
    listener_.Unref(env);
  }

  void KeepAlive(Napi::Env env, bool alive) {
    if (alive) {
      listener_.Ref(env);
    } else {
      listener_.Unref(env);
    }
  }

  void Notify(intptr_t subject) {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (!closed_) listener_.NonBlockingCall(reinterpret_cast<void*>(subject));
  }

  // Once, while the environment is there.
  void Close() {
    const std::lock_guard<std::mutex> guard(mutex_);
    closed_ = true;
    // Node keeps what a thread might still use.
    listener_.Release();
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  Listener listener_;
};

}  // namespace holdfast

#endif  // HOLDFAST_NOTIFIER_H_
