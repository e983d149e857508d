// What an environment has for all of its handles, and how it learns that one of their waits has
// ended.
#ifndef HOLDFAST_BINDING_ENVIRONMENT_H_
#define HOLDFAST_BINDING_ENVIRONMENT_H_

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>

#include "collections.h"
#include "lock_handle.h"
#include "notifier.h"

namespace holdfast {

struct Environment {
  ProcessRecord process;
  Turns turns;
  std::shared_ptr<Notifier> notifier;
  // Token and crash flag of the latest grant, in memory that JavaScript reads without a call.
  Napi::Reference<Napi::BigUint64Array> outcome_owner;
  uint64_t* outcome = nullptr;
  // Not hashed: that would bring arithmetic along that makes the binary for Windows 4 KB larger.
  std::map<uint32_t, LockHandle*> handles;

  int Outcome(const LockHandle& handle, int result) const {
    if (result != 0) return result;
    outcome[0] = handle.token();
    outcome[1] = handle.crashed_record().empty() ? 0 : 1;
    return result;
  }

  // Workers are terminated without their finalisers being due: nothing may stay locked then, and no
  // thread is waited for.
  static void CleanUp(Environment* environment) {
    if (environment->notifier != nullptr) environment->notifier->Close();
    Collections::Get().Leave(environment);
    for (const auto& [number, handle] : environment->handles) handle->LetGo();
  }
};

// Shared with the handles, because the order in which an ending environment finalises its instance
// data and its objects is not promised.
using SharedEnvironment = std::shared_ptr<Environment>;

inline const SharedEnvironment& EnvironmentOf(Napi::Env env) {
  return *env.GetInstanceData<SharedEnvironment>();
}

inline void CallListener(Napi::Env env, Napi::Function listener, std::nullptr_t*, void* subject) {
  if (env == nullptr) return;
  const auto number = reinterpret_cast<intptr_t>(subject);
  int result = 0;
  if (number > 0) {
    // Before JavaScript is called, which would have to call back for it from code that has gone
    // cold.
    const Environment& environment = *EnvironmentOf(env);
    const auto found = environment.handles.find(static_cast<uint32_t>(number));
    // JavaScript may have finished it or given it up, and may even wait with the handle once more.
    if (found == environment.handles.end() || !found->second->WaitHasEnded()) return;
    result = environment.Outcome(*found->second, found->second->FinishWait());
  }
  const napi_value arguments[] = {Napi::Number::New(env, static_cast<double>(number)),
                                  Napi::Number::New(env, result)};
  // Not listener.Call(): an environment that is ending still runs its loop, but no JavaScript, and
  // that must not become an error of anybody.
  napi_call_function(env, env.Undefined(), listener, 2, arguments, nullptr);
}

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_ENVIRONMENT_H_
