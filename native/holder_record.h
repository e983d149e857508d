// The record inside a lock file: one line of JSON that says who holds the lock, padded to a fixed
// size. Written and scanned here because it stands on the way of every lock; read in full, for
// people, by src/holder-record.ts.
#ifndef HOLDFAST_HOLDER_RECORD_H_
#define HOLDFAST_HOLDER_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace holdfast {

inline constexpr size_t kRecordBytes = 512;

// The four bytes that say whether the last exclusive holder let go by itself.
inline constexpr size_t kStateOffset = 23;
inline constexpr char kStateHeld[] = "held";
inline constexpr char kStateFree[] = "free";
inline constexpr size_t kStateBytes = 4;

struct RecordDetails {
  std::string label = "null";  // as JSON
  int64_t lease_ms = 0;        // 0: none
};

// Writes the records of this process.
class RecordWriter final {
 public:
  // What is the same for every lock: JSON members without the braces.
  void SetProcess(std::string members);

  // Exactly kRecordBytes, until the next call. Null when the members do not fit. `now` is
  // MonotonicNow(): the date is looked at once in a ms.
  const char* Write(const RecordDetails& details, uint64_t token, int64_t now);

 private:
  // How far a part of the line goes, and the checksum up to there.
  struct Part {
    size_t size = 0;
    uint32_t checksum = 0;
  };

  // What stays, then what stays for a ms: a loop of locks computes the checksum of the token only.
  void Begin(const RecordDetails& details);
  void Date(int64_t now);

  std::string process_;
  // Of the record before this one: what it began with is used again.
  RecordDetails details_;
  bool begun_ = false;
  char line_[kRecordBytes] = {};
  Part begin_;
  Part dated_;
  int64_t dated_until_ = 0;
  size_t size_ = 0;
  bool fits_ = false;
};

struct RecordScan {
  bool foreign = false;  // content that is not ours, or cannot be, and must not be touched
  bool held = false;     // the last exclusive holder never marked its release
  uint64_t token = 0;
};

// `data` is what a file of `file_size` bytes begins with.
RecordScan ScanRecord(const char* data, size_t size, uint64_t file_size);

// Enough of a file for this: whether it begins as RecordWriter writes it.
inline constexpr size_t kStartBytes = kStateOffset + kStateBytes;
bool IsStartOfHeld(const char* data, size_t size);

}  // namespace holdfast

#endif  // HOLDFAST_HOLDER_RECORD_H_
