#include <deque>
#include <mutex>
#include <utility>

#include "monotonic.h"
#include "os_thread.h"

namespace holdfast {
namespace {

constexpr int64_t kLongestPark = 1'000'000'000;
constexpr size_t kMostParked = 4;

using Job = std::function<void()>;

struct Parking {
  std::mutex mutex;
  Condition arrived;
  // For parked threads only: never more of them than threads.
  std::deque<Job> jobs;
  size_t parked = 0;
};

Parking& GetParking() {
  // Never destroyed: threads may outlive the statics when the process ends.
  static Parking* const parking = new Parking();
  return *parking;
}

// The next job, or none when it is time to end.
Job Park() {
  Parking& parking = GetParking();
  std::unique_lock<std::mutex> guard(parking.mutex);
  if (parking.parked >= kMostParked) return nullptr;
  ++parking.parked;
  parking.arrived.WaitUntil(guard, MonotonicNow() + kLongestPark,
                            [&] { return !parking.jobs.empty(); });
  --parking.parked;
  if (parking.jobs.empty()) return nullptr;
  Job job = std::move(parking.jobs.front());
  parking.jobs.pop_front();
  return job;
}

}  // namespace

int RunInThread(Job job) {
  Parking& parking = GetParking();
  {
    const std::lock_guard<std::mutex> guard(parking.mutex);
    if (parking.parked > parking.jobs.size()) {
      parking.jobs.push_back(std::move(job));
      parking.arrived.notify_one();
      return 0;
    }
  }
  return StartThread([job = std::move(job)]() mutable {
    for (; job != nullptr; job = Park()) job();
  });
}

}  // namespace holdfast
