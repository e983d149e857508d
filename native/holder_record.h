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

  // Exactly kRecordBytes, until the next call. Null when the members do not fit.
  const char* Write(const RecordDetails& details, uint64_t token);

 private:
  void Begin(const RecordDetails& details);

  std::string process_;
  // Of the record before this one: what it began with is used again.
  RecordDetails details_;
  bool begun_ = false;
  char line_[kRecordBytes] = {};
  size_t begin_size_ = 0;
  size_t size_ = 0;
  uint32_t begin_checksum_ = 0;
  bool fits_ = false;
};

struct RecordScan {
  bool foreign = false;  // content that is not ours, or cannot be, and must not be touched
  bool held = false;     // the last exclusive holder never marked its release
  uint64_t token = 0;
};

RecordScan ScanRecord(const char* data, size_t size);

// Enough of a file for this: whether it begins as RecordWriter writes it.
inline constexpr size_t kStartBytes = kStateOffset + kStateBytes;
bool IsStartOfHeld(const char* data, size_t size);

}  // namespace holdfast

#endif  // HOLDFAST_HOLDER_RECORD_H_
