// When the threads of this process may collect garbage in the background: one of them in an
// interval, in the order in which they asked. Each stops itself only, but shares the processors
// with the others.
#ifndef HOLDFAST_COLLECTIONS_H_
#define HOLDFAST_COLLECTIONS_H_

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace holdfast {

class Collections final {
 public:
  static Collections& Get() {
    // Never destroyed: threads may outlive the statics when the process ends.
    static Collections* const collections = new Collections();
    return *collections;
  }

  // In nanoseconds: 0 where this thread may begin now, else after how long it has to ask again.
  int64_t Take(const void* thread, int64_t now, int64_t interval) {
    const std::lock_guard<std::mutex> guard(mutex_);
    auto place = std::find(waiting_.begin(), waiting_.end(), thread);
    if (place == waiting_.end()) place = waiting_.insert(place, thread);
    // One that has the first turn and does not come, because it is blocked, keeps nobody for long.
    const int64_t patience = interval / 60;
    const int64_t turn = latest_.value_or(now - interval) + interval +
                         patience * static_cast<int64_t>(place - waiting_.begin());
    if (turn > now) return turn - now;
    latest_ = now;
    waiting_.erase(place);
    return 0;
  }

  // This thread has nothing to look for any more, or ends.
  void Leave(const void* thread) {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto place = std::find(waiting_.begin(), waiting_.end(), thread);
    if (place != waiting_.end()) waiting_.erase(place);
  }

 private:
  std::mutex mutex_;
  std::optional<int64_t> latest_;
  std::vector<const void*> waiting_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COLLECTIONS_H_
