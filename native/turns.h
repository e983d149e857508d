// How often this process takes a lock, and for how long it has done so in a row. Without it the one
// that just released always wins: it is still running, the woken waiter is not.
#ifndef HOLDFAST_TURNS_H_
#define HOLDFAST_TURNS_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace holdfast {

// Long against the 100 us that a change of holder takes, short against what a person notices, also
// when eight processes have to have theirs first.
inline constexpr std::chrono::microseconds kTurn{1000};

// What is remembered of one path.
struct Turn {
  size_t path_hash = 0;
  int64_t end = 0;
  int64_t released = 0;
  int repeats = 0;

  // The lock was waited for.
  void Start(int64_t now) { end = now + std::chrono::nanoseconds(kTurn).count(); }

  bool IsOver(int64_t now) const { return now > end; }

  // Nobody seemed to wait. Between two waiters that looks just so, hence the next look is soon.
  void Extend(int64_t now) { end = now + kGlance; }

  // The lock is wanted, perhaps once more.
  void Ask(int64_t now) {
    // Halved, because a process that loops may lose its core for a while.
    repeats = now - released < kAtOnce ? std::min(repeats + 1, kMostRepeats) : repeats / 2;
  }

  // Whether it is taken in a loop, by a program that does little else.
  bool IsLoop() const { return repeats >= kLoop; }

 private:
  // A look costs half a microsecond, so this is half a per cent.
  static constexpr int64_t kGlance = 100'000;
  static constexpr int64_t kAtOnce = 100'000;
  static constexpr int kLoop = 16;
  static constexpr int kMostRepeats = 64;
};

// The turns of one environment, for the paths that it used last.
class Turns final {
 public:
  // A path that was not seen lately starts a turn.
  Turn& Of(size_t path_hash, int64_t now) {
    Turn& turn = turns_[path_hash % kRemembered];
    if (turn.path_hash == path_hash) return turn;
    turn = {};
    turn.path_hash = path_hash;
    turn.Start(now);
    return turn;
  }

 private:
  static constexpr size_t kRemembered = 64;
  std::array<Turn, kRemembered> turns_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TURNS_H_
