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

// What is the same for every lock of this process: JSON members without the braces.
class ProcessRecord final {
 public:
  void Set(std::string members);
  const std::string& members() const { return members_; }
  uint32_t checksum() const { return checksum_; }

 private:
  std::string members_;
  uint32_t checksum_ = 0;
};

struct RecordDetails {
  std::string label = "null";  // as JSON
  int64_t lease_ms = 0;        // 0: none
};

// Fills exactly kRecordBytes. Returns false when the members do not fit.
bool FormatRecord(const ProcessRecord& process, const RecordDetails& details, uint64_t token,
                  char* out);

struct RecordScan {
  bool foreign = false;  // content that is not ours, or cannot be, and must not be touched
  bool held = false;     // the last exclusive holder never marked its release
  uint64_t token = 0;
};

RecordScan ScanRecord(const char* data, size_t size);

}  // namespace holdfast

#endif  // HOLDFAST_HOLDER_RECORD_H_
