// What an environment has for all of its handles, and how it learns that one of their waits has
// ended.
#ifndef HOLDFAST_BINDING_ENVIRONMENT_H_
#define HOLDFAST_BINDING_ENVIRONMENT_H_

#include <napi.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "collections.h"
#include "lock_handle.h"
#include "notifier.h"

namespace holdfast {

// What either side tells the other without a call, in memory that JavaScript has given;
// src/native.ts has the same layout.
struct Noticeboard {
  // Of the latest grant.
  uint64_t token;
  double since_ms;
  double crashed;
  // How many wait for something from elsewhere.
  double waiting;
  // 1 while the listener is called: then the addon looks at those by itself. Here, because a
  // JavaScript that is terminated does not get to undo anything.
  double listening;
};
static_assert(sizeof(Noticeboard) == 40);

struct Environment {
  Surroundings surroundings;
  // The one being made; it stays here for the memory of its strings.
  Request request;
  bool detailed = false;
  std::shared_ptr<Notifier> notifier;
  Napi::Reference<Napi::ArrayBuffer> noticeboard_owner;
  Noticeboard* noticeboard = nullptr;
  bool alive = false;
  // By number. Not an object of JavaScript for each: that takes more memory than the handle.
  std::vector<std::unique_ptr<LockHandle>> handles;

  int Outcome(const LockHandle& handle, int result) const {
    if (result != 0) return result;
    noticeboard->token = handle.token();
    noticeboard->since_ms = Milliseconds(handle.held_since());
    noticeboard->crashed = surroundings.crashed_record.empty() ? 0 : 1;
    return result;
  }

  // Those who wait keep the process alive; those who hold do not.
  void KeepAlive(Napi::Env env) {
    const bool before = std::exchange(alive, noticeboard->waiting > 0);
    if (before != alive) notifier->KeepAlive(env, alive);
  }

  // Workers are terminated without their finalisers being due: nothing may stay locked then, and no
  // thread is waited for.
  static void CleanUp(Environment* environment) {
    if (environment->notifier != nullptr) environment->notifier->Close();
    Collections::Get().Leave(environment);
    for (const auto& handle : environment->handles) {
      if (handle != nullptr) handle->LetGo();
    }
  }
};

inline Environment& EnvironmentOf(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

inline void CallListener(Napi::Env env, Napi::Function listener, std::nullptr_t*, void* subject) {
  if (env == nullptr) return;
  Environment& environment = EnvironmentOf(env);
  const auto number = reinterpret_cast<intptr_t>(subject);
  int result = 0;
  if (number > 0) {
    // Before JavaScript is called, which would have to call back for it from code that has gone
    // cold.
    LockHandle* const handle = environment.handles[static_cast<size_t>(number)].get();
    // JavaScript may have finished it or given it up, and may even wait with the handle once more.
    if (handle == nullptr || !handle->WaitHasEnded()) return;
    result = environment.Outcome(*handle, handle->FinishWait());
  }
  const napi_value arguments[] = {Napi::Number::New(env, static_cast<double>(number)),
                                  Napi::Number::New(env, result)};
  // Not listener.Call(): an environment that is ending still runs its loop, but no JavaScript, and
  // that must not become an error of anybody.
  environment.noticeboard->listening = 1;
  napi_call_function(env, env.Undefined(), listener, 2, arguments, nullptr);
  environment.noticeboard->listening = 0;
  // Here, because a call from JavaScript would stand on the way of each hand-over.
  environment.KeepAlive(env);
}

}  // namespace holdfast

#endif  // HOLDFAST_BINDING_ENVIRONMENT_H_
