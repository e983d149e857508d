// Whether this process has had a lock for long enough by taking it again and again, and should look
// whether somebody is waiting. Without it the one that just released always wins: it is still
// running, the woken waiter is not.
#ifndef HOLDFAST_TURNS_H_
#define HOLDFAST_TURNS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace holdfast {

class Turns final {
 public:
  // True when the turn that was started for this path is over. A path that was not seen lately
  // starts a turn.
  bool Over(const std::string& path, int64_t now) {
    const size_t hash = std::hash<std::string>()(path);
    Turn& turn = turns_[hash % kRemembered];
    if (turn.path_hash == hash) return now > turn.end;
    turn = {hash, now + kTurnNanoseconds};
    return false;
  }

  // The lock was waited for.
  void Start(const std::string& path, int64_t now) { EndAt(path, now + kTurnNanoseconds); }

  // Nobody seemed to wait. Between two waiters that looks just so, hence the next look is soon.
  void Extend(const std::string& path, int64_t now) { EndAt(path, now + kGlanceNanoseconds); }

 private:
  // Long against the 50 us that a change of holder takes, short against what a person notices.
  static constexpr int64_t kTurnNanoseconds = 2'000'000;
  // A look costs half a microsecond, so this is half a per cent.
  static constexpr int64_t kGlanceNanoseconds = 100'000;
  static constexpr size_t kRemembered = 64;

  struct Turn {
    size_t path_hash = 0;
    int64_t end = 0;
  };
  void EndAt(const std::string& path, int64_t end) {
    const size_t hash = std::hash<std::string>()(path);
    turns_[hash % kRemembered] = {hash, end};
  }

  std::array<Turn, kRemembered> turns_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TURNS_H_
