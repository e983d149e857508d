// JavaScript on one side, LockHandle on the other: arguments, results and the life of an
// environment. src/native.ts describes the functions and validates what they are given.
#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "binding_environment.h"
#include "binding_probe.h"
#include "collections.h"
#include "os_thread.h"

namespace holdfast {
namespace {

enum Flags : uint32_t {
  kExclusive = 1,
  kRecord = 2,
  kInTurn = 4,
  kReads = 8,
  kNamed = 16,
  kPast = 32,
  kFlush = 64,
  kPermissionsShift = 8
};

// A call from JavaScript whose first argument is the number of a handle.
class Call final {
 public:
  explicit Call(const Napi::CallbackInfo& info)
      : info_(info),
        environment_(EnvironmentOf(info.Env())),
        number_(info[0].As<Napi::Number>().Uint32Value()) {}

  Environment& environment() const { return environment_; }
  uint32_t number() const { return number_; }
  LockHandle& handle() const { return *environment_.handles[number_]; }

  int64_t Integer(size_t index) const { return info_[index].As<Napi::Number>().Int64Value(); }
  bool Flag(size_t index) const { return info_[index].As<Napi::Boolean>().Value(); }
  // Has the end of a wait told by the number of its handle, that of a lease by its own.
  LockWaiter::Ended NotifyWith(int64_t number) const {
    const auto subject = static_cast<intptr_t>(number);
    return [notifier = environment_.notifier, subject] { notifier->Notify(subject); };
  }

  // (path, flags, labelAsJson?, leaseMs?, minToken?), starting with the argument `first`. Without
  // them the request before is meant once more.
  const Request& ReadRequest(size_t first) const {
    Request& request = environment_.request;
    if (info_.Length() <= first) return request;
    ReadPath(info_[first], &request.path);
    request.path_hash = std::hash<std::string>()(request.path);
    const uint32_t flags = info_[first + 1].As<Napi::Number>().Uint32Value();
    request.mode = (flags & kExclusive) != 0 ? Mode::kExclusive : Mode::kShared;
    request.record = (flags & kRecord) != 0;
    request.in_turn = (flags & kInTurn) != 0;
    request.reads = (flags & kReads) != 0;
    request.named = (flags & kNamed) != 0;
    request.past = (flags & kPast) != 0;
    request.flush = (flags & kFlush) != 0;
    request.permissions = static_cast<int>(flags >> kPermissionsShift);
    if (info_.Length() > first + 2) {
      request.details.label = info_[first + 2].As<Napi::String>().Utf8Value();
      request.details.lease_ms = Integer(first + 3);
      bool lossless = true;
      request.min_token = info_[first + 4].As<Napi::BigInt>().Uint64Value(&lossless);
      environment_.detailed = true;
    } else if (std::exchange(environment_.detailed, false)) {
      request.details = {};
      request.min_token = 0;
    }
    return request;
  }

  template <typename Value>
  Napi::Value Answer(const Value& value) const {
    return Napi::Value::From(info_.Env(), value);
  }
  Napi::Value Answer(int value) const {
    napi_value answer = nullptr;
    napi_create_int32(info_.Env(), value, &answer);
    return {info_.Env(), answer};
  }
  Napi::Value Outcome(int result) const { return Answer(environment_.Outcome(handle(), result)); }
  Napi::Value Nothing() const { return info_.Env().Undefined(); }

 private:
  // Without a string in between where it is short: this is on the way of every lock.
  static void ReadPath(const Napi::Value& value, std::string* path) {
    char buffer[512];
    size_t length = 0;
    napi_get_value_string_utf8(value.Env(), value, buffer, sizeof buffer, &length);
    if (length < sizeof buffer - 4) {
      path->assign(buffer, length);
    } else {
      *path = value.As<Napi::String>().Utf8Value();
    }
  }

  const Napi::CallbackInfo& info_;
  Environment& environment_;
  const uint32_t number_;
};

Napi::Value OpenHandle(const Call& call) {
  auto& handles = call.environment().handles;
  if (call.number() >= handles.size()) handles.resize(call.number() + 1);
  handles[call.number()] = std::make_unique<LockHandle>(&call.environment().surroundings);
  return call.Nothing();
}

Napi::Value CloseHandle(const Call& call) {
  call.environment().handles[call.number()].reset();
  return call.Nothing();
}

Napi::Value TryAcquire(const Call& call) {
  return call.Outcome(call.handle().TryAcquire(call.ReadRequest(1)));
}

Napi::Value BeginWait(const Call& call) {
  const Request& request = call.ReadRequest(1);
  return call.Answer(call.handle().BeginWait(request, call.NotifyWith(call.number())));
}

// (handle, once, request)
Napi::Value BeginRemote(const Call& call) {
  const Request& request = call.ReadRequest(2);
  const auto ended = call.NotifyWith(call.number());
  return call.Answer(call.handle().BeginRemote(request, call.Flag(1), ended));
}

// (handle, milliseconds)
Napi::Value WaitFor(const Call& call) {
  return call.Answer(call.handle().WaitFor(call.Integer(1)));
}

// Whoever goes on with a wait has a label of its own.
Napi::Value ChangeRequest(const Call& call) {
  call.handle().ChangeRequest(call.ReadRequest(1));
  return call.Nothing();
}

Napi::Value FinishWait(const Call& call) { return call.Outcome(call.handle().FinishWait()); }

Napi::Value HandOver(const Call& call) {
  return call.Outcome(call.handle().HandOver(call.ReadRequest(1)));
}

// (handle, milliseconds, lease)
Napi::Value Limit(const Call& call) {
  return call.Answer(call.handle().Limit(call.Integer(1), call.NotifyWith(call.Integer(2))));
}

Napi::Value Identity(const Call& call) {
  const FileStatus& file = call.handle().file();
  if (!file.linked) return call.Answer("");
  return call.Answer(std::to_string(file.volume) + ":" + std::to_string(file.file));
}

Napi::Value Holders(const Call& call) {
  const Napi::Array numbers = Napi::Array::New(call.Nothing().Env());
  const auto& handles = call.environment().handles;
  for (size_t number = 0; number < handles.size(); ++number) {
    const LockHandle* const handle = handles[number].get();
    if (handle == nullptr || !handle->held()) continue;
    if (!handle->file().SameFile(call.handle().file())) continue;
    numbers.Set(numbers.Length(), call.Answer(static_cast<double>(number)));
  }
  return numbers;
}

template <Napi::Value (*Function)(const Call&)>
Napi::Value With(const Napi::CallbackInfo& info) {
  return Function(Call(info));
}

// Of a handle, without arguments.
template <auto Method>
Napi::Value Do(const Napi::CallbackInfo& info) {
  const Call call(info);
  if constexpr (std::is_void_v<decltype((call.handle().*Method)())>) {
    (call.handle().*Method)();
    return call.Nothing();
  } else {
    return call.Answer((call.handle().*Method)());
  }
}

Napi::Value CrashedRecord(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), EnvironmentOf(info.Env()).surroundings.crashed_record);
}

// (listener, processMembers, noticeboard): once for each environment, before anything else.
Napi::Value Initialize(const Napi::CallbackInfo& info) {
  Environment* const environment = &EnvironmentOf(info.Env());
  environment->surroundings.records.SetProcess(info[1].As<Napi::String>().Utf8Value());
  environment->notifier = std::make_shared<Notifier>(info.Env(), info[0].As<Napi::Function>());
  auto noticeboard = info[2].As<Napi::ArrayBuffer>();
  environment->noticeboard_owner = Napi::Reference<Napi::ArrayBuffer>::New(noticeboard, 1);
  environment->noticeboard = static_cast<Noticeboard*>(noticeboard.Data());
  // Hooks run in reverse order: this one before the listener's own, which frees it.
  info.Env().AddCleanupHook(Environment::CleanUp, environment);
  return info.Env().Undefined();
}

Napi::Value KeepAlive(const Napi::CallbackInfo& info) {
  EnvironmentOf(info.Env()).KeepAlive(info.Env());
  return info.Env().Undefined();
}

Napi::Value MonotonicMs(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Milliseconds(MonotonicNow()));
}

// (intervalMs): 0 where this environment may collect garbage now, else after how many ms to ask
// again.
Napi::Value TakeCollection(const Napi::CallbackInfo& info) {
  const double interval = info[0].As<Napi::Number>().DoubleValue() * 1e6;
  const int64_t wait = Collections::Get().Take(&EnvironmentOf(info.Env()), MonotonicNow(),
                                               static_cast<int64_t>(interval));
  return Napi::Number::New(info.Env(), static_cast<double>(wait) / 1e6);
}

Napi::Value LeaveCollections(const Napi::CallbackInfo& info) {
  Collections::Get().Leave(&EnvironmentOf(info.Env()));
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

template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
void Export(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Function>(exports.Env(), name));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (PinModule() != 0) {
    Napi::Error::New(env, "holdfast: cannot keep the addon in memory").ThrowAsJavaScriptException();
    return exports;
  }
  env.SetInstanceData(new Environment);
  Export<With<OpenHandle>>(exports, "openHandle");
  Export<With<CloseHandle>>(exports, "closeHandle");
  Export<With<TryAcquire>>(exports, "tryAcquire");
  Export<With<BeginWait>>(exports, "beginWait");
  Export<With<BeginRemote>>(exports, "beginRemote");
  Export<Do<&LockHandle::AbandonWait>>(exports, "abandonWait");
  Export<Do<&LockHandle::AdoptWait>>(exports, "adoptWait");
  Export<With<WaitFor>>(exports, "waitFor");
  Export<With<ChangeRequest>>(exports, "changeRequest");
  Export<With<FinishWait>>(exports, "finishWait");
  Export<With<HandOver>>(exports, "handOver");
  Export<Do<&LockHandle::Release>>(exports, "release");
  Export<Do<&LockHandle::Discard>>(exports, "discard");
  Export<Do<&LockHandle::LetGo>>(exports, "letGo");
  Export<Do<&LockHandle::CloseKept>>(exports, "closeKept");
  Export<With<Limit>>(exports, "limit");
  Export<Do<&LockHandle::held>>(exports, "held");
  Export<Do<&LockHandle::IsAwaited>>(exports, "isAwaited");
  Export<With<Identity>>(exports, "identity");
  Export<With<Holders>>(exports, "holders");
  Export<CrashedRecord>(exports, "crashedRecord");
  Export<Initialize>(exports, "initialize");
  Export<KeepAlive>(exports, "keepAlive");
  Export<MonotonicMs>(exports, "monotonicMs");
  Export<TakeCollection>(exports, "takeCollection");
  Export<LeaveCollections>(exports, "leaveCollections");
  Export<Flock>(exports, "flock");
  Export<Probe>(exports, "probe");
  return exports;
}

}  // namespace
}  // namespace holdfast

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) {
  return holdfast::Init(env, exports);
}

NODE_API_MODULE(holdfast, InitModule)
