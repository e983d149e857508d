// JavaScript on one side, LockHandle on the other: arguments, results and the life of an
// environment. src/native.ts describes the functions and validates what they are given.
// A worker may be terminated at any instruction; what cannot be thrown any more is no fatal error
// then.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <memory>
#include <string>
#include <utility>

#include "binding_environment.h"
#include "binding_probe.h"
#include "collections.h"
#include "os_thread.h"

namespace holdfast {
namespace {

std::string ToString(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

// Without a string in between where it is short: this is on the way of every lock.
void ReadPath(const Napi::Value& value, LockHandle* handle) {
  char buffer[512];
  size_t length = 0;
  napi_get_value_string_utf8(value.Env(), value, buffer, sizeof buffer, &length);
  if (length < sizeof buffer - 4) {
    handle->SetPath(buffer, length);
  } else {
    const std::string path = ToString(value);
    handle->SetPath(path.data(), path.size());
  }
}

class HandleObject final : public Napi::ObjectWrap<HandleObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "LockHandle",
                       {
                           InstanceMethod<&HandleObject::TryAcquire>("tryAcquire"),
                           InstanceMethod<&HandleObject::BeginWait>("beginWait"),
                           InstanceMethod<&HandleObject::BeginRemote>("beginRemote"),
                           InstanceMethod<&HandleObject::AbandonWait>("abandonWait"),
                           InstanceMethod<&HandleObject::AdoptWait>("adoptWait"),
                           InstanceMethod<&HandleObject::ChangeRequest>("changeRequest"),
                           InstanceMethod<&HandleObject::WaitFor>("waitFor"),
                           InstanceMethod<&HandleObject::FinishWait>("finishWait"),
                           InstanceMethod<&HandleObject::TakeOver>("takeOver"),
                           InstanceMethod<&HandleObject::Release>("release"),
                           InstanceMethod<&HandleObject::Discard>("discard"),
                           InstanceMethod<&HandleObject::CloseKept>("closeKept"),
                           InstanceMethod<&HandleObject::Limit>("limit"),
                           InstanceMethod<&HandleObject::Held>("held"),
                           InstanceMethod<&HandleObject::IsAwaited>("isAwaited"),
                           InstanceMethod<&HandleObject::AgeMs>("ageMs"),
                           InstanceMethod<&HandleObject::Identity>("identity"),
                           InstanceMethod<&HandleObject::Holders>("holders"),
                           InstanceMethod<&HandleObject::CrashedRecord>("crashedRecord"),
                       });
  }

  explicit HandleObject(const Napi::CallbackInfo& info)
      : ObjectWrap(info),
        environment_(EnvironmentOf(info.Env())),
        number_(info[0].As<Napi::Number>().Uint32Value()),
        handle_(&environment_->process, &environment_->turns) {
    environment_->handles.emplace(number_, &handle_);
  }

  ~HandleObject() override { environment_->handles.erase(number_); }

 private:
  enum Flags : uint32_t { kExclusive = 1, kRecord = 2, kInTurn = 4, kPermissionsShift = 8 };

  // (path, flags, labelAsJson?, leaseMs?, minToken?), starting with the argument `first`.
  void ReadRequest(const Napi::CallbackInfo& info, size_t first) {
    Request& request = handle_.request();
    ReadPath(info[first], &handle_);
    const uint32_t flags = info[first + 1].As<Napi::Number>().Uint32Value();
    request.mode = (flags & kExclusive) != 0 ? Mode::kExclusive : Mode::kShared;
    request.record = (flags & kRecord) != 0;
    request.in_turn = (flags & kInTurn) != 0;
    request.permissions = static_cast<int>(flags >> kPermissionsShift);
    const bool detailed = info.Length() > first + 2;
    if (!detailed && !detailed_) return;
    detailed_ = detailed;
    request.details = {};
    request.min_token = 0;
    if (!detailed) return;
    request.details.label = ToString(info[first + 2]);
    request.details.lease_ms = info[first + 3].As<Napi::Number>().Int64Value();
    bool lossless = true;
    request.min_token = info[first + 4].As<Napi::BigInt>().Uint64Value(&lossless);
  }

  Napi::Value Number(const Napi::CallbackInfo& info, double value) {
    return Napi::Number::New(info.Env(), value);
  }
  Napi::Value Boolean(const Napi::CallbackInfo& info, bool value) {
    return Napi::Boolean::New(info.Env(), value);
  }
  Napi::Value Outcome(const Napi::CallbackInfo& info, int result) {
    return Number(info, environment_->Outcome(handle_, result));
  }
  LockWaiter::Ended NotifyWith(intptr_t subject) {
    return [notifier = environment_->notifier, subject] { notifier->Notify(subject); };
  }

  Napi::Value TryAcquire(const Napi::CallbackInfo& info) {
    ReadRequest(info, 0);
    return Outcome(info, handle_.TryAcquire());
  }
  Napi::Value BeginWait(const Napi::CallbackInfo& info) {
    return Number(info, handle_.BeginWait(NotifyWith(number_)));
  }
  Napi::Value AbandonWait(const Napi::CallbackInfo& info) {
    return Boolean(info, handle_.AbandonWait());
  }
  Napi::Value AdoptWait(const Napi::CallbackInfo& info) {
    return Boolean(info, handle_.AdoptWait());
  }
  Napi::Value WaitFor(const Napi::CallbackInfo& info) {
    return Number(info, handle_.WaitFor(info[0].As<Napi::Number>().Int64Value()));
  }
  // (once, request)
  Napi::Value BeginRemote(const Napi::CallbackInfo& info) {
    ReadRequest(info, 1);
    const bool once = info[0].As<Napi::Boolean>().Value();
    return Number(info, handle_.BeginRemote(once, NotifyWith(number_)));
  }
  // Whoever goes on with a wait has a label of its own.
  Napi::Value ChangeRequest(const Napi::CallbackInfo& info) {
    ReadRequest(info, 0);
    return info.Env().Undefined();
  }
  Napi::Value FinishWait(const Napi::CallbackInfo& info) {
    ReadRequest(info, 0);
    return Outcome(info, handle_.FinishWait());
  }
  Napi::Value TakeOver(const Napi::CallbackInfo& info) {
    ReadRequest(info, 1);
    HandleObject* const from = Unwrap(info[0].As<Napi::Object>());
    return Outcome(info, handle_.TakeOver(&from->handle_));
  }
  Napi::Value Release(const Napi::CallbackInfo& info) { return Number(info, handle_.Release()); }
  Napi::Value Discard(const Napi::CallbackInfo& info) {
    handle_.Discard();
    return info.Env().Undefined();
  }
  Napi::Value CloseKept(const Napi::CallbackInfo& info) {
    handle_.CloseKept();
    return info.Env().Undefined();
  }
  Napi::Value Limit(const Napi::CallbackInfo& info) {
    const int64_t milliseconds = info[0].As<Napi::Number>().Int64Value();
    const auto lease = static_cast<intptr_t>(info[1].As<Napi::Number>().Int64Value());
    return Number(info, handle_.Limit(milliseconds, NotifyWith(lease)));
  }
  Napi::Value IsAwaited(const Napi::CallbackInfo& info) {
    return Boolean(info, handle_.IsAwaited());
  }
  Napi::Value Held(const Napi::CallbackInfo& info) { return Boolean(info, handle_.held()); }
  Napi::Value AgeMs(const Napi::CallbackInfo& info) {
    return Number(info, static_cast<double>(MonotonicNow() - handle_.held_since()) / 1e6);
  }
  // The path has to do where the file could not be opened.
  Napi::Value Identity(const Napi::CallbackInfo& info) {
    const FileStatus& file = handle_.file();
    const std::string number = std::to_string(file.volume) + ":" + std::to_string(file.file);
    return Napi::String::New(info.Env(), file.linked ? number : handle_.path());
  }
  // The numbers of this environment's handles that hold a lock on the same file.
  Napi::Value Holders(const Napi::CallbackInfo& info) {
    const Napi::Array numbers = Napi::Array::New(info.Env());
    for (const auto& [number, handle] : environment_->handles) {
      if (handle->held() && handle->file().SameFile(handle_.file())) {
        numbers.Set(numbers.Length(), Napi::Number::New(info.Env(), number));
      }
    }
    return numbers;
  }
  Napi::Value CrashedRecord(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), handle_.crashed_record());
  }

  const SharedEnvironment environment_;
  const uint32_t number_;
  LockHandle handle_;
  bool detailed_ = false;
};

// (listener, processMembers, outcome): once for each environment, before anything else.
Napi::Value Initialize(const Napi::CallbackInfo& info) {
  Environment* const environment = EnvironmentOf(info.Env()).get();
  environment->process.Set(ToString(info[1]));
  environment->notifier = std::make_shared<Notifier>(info.Env(), info[0].As<Napi::Function>());
  const auto outcome = info[2].As<Napi::BigUint64Array>();
  environment->outcome_owner = Napi::Reference<Napi::BigUint64Array>::New(outcome, 1);
  environment->outcome_owner.SuppressDestruct();
  environment->outcome = const_cast<uint64_t*>(outcome.Data());
  // Hooks run in reverse order: this one before the listener's own, which frees it.
  info.Env().AddCleanupHook(Environment::CleanUp, environment);
  return info.Env().Undefined();
}

Napi::Value KeepAlive(const Napi::CallbackInfo& info) {
  EnvironmentOf(info.Env())->notifier->KeepAlive(info.Env(), info[0].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

// (number): a handle that nobody can reach any more lets go before its own finaliser comes.
Napi::Value LetGo(const Napi::CallbackInfo& info) {
  const auto& handles = EnvironmentOf(info.Env())->handles;
  const auto found = handles.find(info[0].As<Napi::Number>().Uint32Value());
  if (found != handles.end()) found->second->LetGo();
  return info.Env().Undefined();
}

// (intervalMs): 0 where this environment may collect garbage now, else after how many ms to ask
// again.
Napi::Value TakeCollection(const Napi::CallbackInfo& info) {
  const double interval = info[0].As<Napi::Number>().DoubleValue() * 1e6;
  const int64_t wait = Collections::Get().Take(EnvironmentOf(info.Env()).get(), MonotonicNow(),
                                               static_cast<int64_t>(interval));
  return Napi::Number::New(info.Env(), static_cast<double>(wait) / 1e6);
}

Napi::Value LeaveCollections(const Napi::CallbackInfo& info) {
  Collections::Get().Leave(EnvironmentOf(info.Env()).get());
  return info.Env().Undefined();
}

// (fd, mode): mode is 0 to unlock, 1 for shared, 2 for exclusive.
Napi::Value Flock(const Napi::CallbackInfo& info) {
  const Descriptor descriptor = FromNodeFd(info[0].As<Napi::Number>().Int32Value());
  const uint32_t mode = info[1].As<Napi::Number>().Uint32Value();
  const int result = mode == 0 ? Unlock(descriptor)
                               : TryLock(descriptor, mode == 1 ? Mode::kShared : Mode::kExclusive);
  return Napi::Number::New(info.Env(), result);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (PinModule() != 0) {
    Napi::Error::New(env, "holdfast: cannot keep the addon in memory").ThrowAsJavaScriptException();
    return exports;
  }
  env.SetInstanceData(new SharedEnvironment(std::make_shared<Environment>()));
  exports.Set("LockHandle", HandleObject::Define(env));
  exports.Set("initialize", Napi::Function::New<Initialize>(env, "initialize"));
  exports.Set("keepAlive", Napi::Function::New<KeepAlive>(env, "keepAlive"));
  exports.Set("letGo", Napi::Function::New<LetGo>(env, "letGo"));
  exports.Set("takeCollection", Napi::Function::New<TakeCollection>(env, "takeCollection"));
  exports.Set("leaveCollections", Napi::Function::New<LeaveCollections>(env, "leaveCollections"));
  exports.Set("flock", Napi::Function::New<Flock>(env, "flock"));
  exports.Set("probe", Napi::Function::New<Probe>(env, "probe"));
  return exports;
}

}  // namespace
}  // namespace holdfast

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) {
  return holdfast::Init(env, exports);
}

NODE_API_MODULE(holdfast, InitModule)
