// One thread for all leases of the process, whatever environment they belong to.
//
// It works while every event loop is blocked, which is what it is for. It starts with the first
// lease and ends when there has been none for a while.
#ifndef HOLDFAST_LEASE_WATCHDOG_H_
#define HOLDFAST_LEASE_WATCHDOG_H_

#include <mutex>
#include <set>
#include <utility>

#include "holding.h"

namespace holdfast {

class LeaseWatchdog final {
 public:
  static LeaseWatchdog& Get();

  // As Holding::Limit() says.
  int Watch(Holding* holding, int64_t deadline, const Holding::Expired& expired);

  void Forget(Holding* holding);

 private:
  void Loop();
  void Queue(Holding* holding, int64_t deadline);
  void Unqueue(Holding* holding);
  // Takes the lock away if its time is over, and leaves the mutex meanwhile.
  void Expire(Holding* holding, std::unique_lock<std::mutex>* guard);

  std::mutex mutex_;
  Condition changed_;
  // The deadline may have moved away since: an entry says when to look, never what to do.
  std::set<std::pair<int64_t, Holding*>> queue_;
  bool running_ = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_LEASE_WATCHDOG_H_
