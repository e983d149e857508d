#include "holder_record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

namespace holdfast {
namespace {

constexpr std::string_view kBeforeVersion = R"({"holdfast":)";
constexpr std::string_view kAfterVersion = R"(,"state":")";
constexpr std::string_view kBeforeState = R"({"holdfast":1,"state":")";
static_assert(kBeforeState.size() == kStateOffset);
constexpr std::string_view kBeforeChecksum = R"({"holdfast":1,"state":"held","crc":")";

// CRC-32 as in zlib and PNG (reflected, polynomial 0x04c11db7).
constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0xedb88320u : 0u);
    table[byte] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = MakeTable();

uint32_t Checksum(uint32_t before, std::string_view data) {
  uint32_t value = ~before;
  for (const char byte : data) {
    value = kTable[(value ^ static_cast<unsigned char>(byte)) & 0xff] ^ (value >> 8);
  }
  return ~value;
}

// Appends to a buffer of fixed size and remembers whether everything fitted.
class Line final {
 public:
  Line(char* out, size_t size) : start_(out), next_(out + size), end_(out + kRecordBytes - 1) {}

  void Append(std::string_view text) {
    if (text.size() > static_cast<size_t>(end_ - next_)) {
      fits_ = false;
      return;
    }
    next_ = std::copy(text.begin(), text.end(), next_);
  }

  template <typename Number>
  void AppendNumber(Number number) {
    const auto [end, error] = std::to_chars(next_, end_, number);
    if (error == std::errc()) {
      next_ = end;
    } else {
      fits_ = false;
    }
  }

  size_t size() const { return static_cast<size_t>(next_ - start_); }
  std::string_view Since(size_t from) const { return {start_ + from, size() - from}; }
  bool fits() const { return fits_; }

 private:
  char* const start_;
  char* next_;
  char* const end_;
  bool fits_ = true;
};

void WriteHex(uint32_t value, char* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int digit = 7; digit >= 0; --digit, value >>= 4) out[digit] = kDigits[value & 0xf];
}

int64_t UnixMilliseconds() {
  using std::chrono::milliseconds;
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Where the digits of the token begin. Looks for its rarest letter: a search for the quote that it
// begins with would stop at every member.
size_t FindToken(std::string_view text) {
  constexpr std::string_view kMember = R"("token":")";
  constexpr size_t kRarest = kMember.find('k');
  for (size_t at = text.find('k'); at != std::string_view::npos; at = text.find('k', at + 1)) {
    if (at >= kRarest && text.compare(at - kRarest, kMember.size(), kMember) == 0) {
      return at - kRarest + kMember.size();
    }
  }
  return std::string_view::npos;
}

// More than the name alone: somebody's dependencies may begin with {"holdfast":"^1.0.0".
bool BeginsAsRecord(std::string_view text) {
  constexpr size_t kVersion = kBeforeVersion.size();
  return text.size() > kVersion && text.substr(0, kVersion) == kBeforeVersion &&
         text[kVersion] >= '0' && text[kVersion] <= '9' &&
         text.substr(kVersion + 1, kAfterVersion.size()) == kAfterVersion;
}

}  // namespace

void RecordWriter::SetProcess(std::string members) {
  process_ = std::move(members);
  begun_ = false;
}

void RecordWriter::Begin(const RecordDetails& details) {
  details_ = details;
  begun_ = true;
  Line line(line_, 0);
  line.Append(kBeforeChecksum);
  line.Append("00000000\",");
  const size_t covered = line.size();
  line.Append(process_);
  line.Append(R"(,"lease":)");
  if (details.lease_ms > 0) {
    line.AppendNumber(details.lease_ms);
  } else {
    line.Append("null");
  }
  line.Append(R"(,"label":)");
  line.Append(details.label);
  line.Append(R"(,"since":)");
  begin_ = {line.size(), Checksum(0, line.Since(covered))};
  fits_ = line.fits();
  std::fill(line_ + begin_.size, line_ + kRecordBytes - 1, ' ');
  line_[kRecordBytes - 1] = '\n';
  size_ = begin_.size;
  dated_until_ = 0;
}

void RecordWriter::Date(int64_t now) {
  dated_until_ = now + 1'000'000;
  Line line(line_, begin_.size);
  line.AppendNumber(UnixMilliseconds());
  line.Append(R"(,"token":")");
  dated_ = {line.size(), Checksum(begin_.checksum, line.Since(begin_.size))};
  fits_ = fits_ && line.fits();
}

const char* RecordWriter::Write(const RecordDetails& details, uint64_t token, int64_t now) {
  const bool same =
      begun_ && details.lease_ms == details_.lease_ms && details.label == details_.label;
  if (!same) Begin(details);
  if (now >= dated_until_) Date(now);
  Line line(line_, dated_.size);
  line.AppendNumber(token);
  line.Append("\"");
  WriteHex(Checksum(dated_.checksum, line.Since(dated_.size)), line_ + kBeforeChecksum.size());
  line.Append("}");
  // The record before may have been longer.
  if (line.size() < size_) std::fill(line_ + line.size(), line_ + size_, ' ');
  size_ = line.size();
  return fits_ && line.fits() ? line_ : nullptr;
}

RecordScan ScanRecord(const char* data, size_t size, uint64_t file_size) {
  RecordScan scan;
  const std::string_view text(data, size);
  // A file system that lost power may bring back a file of the right size full of zeros. A larger
  // one only begins with them, as an image of a disk does.
  if (text.find_first_not_of('\0') == std::string_view::npos) {
    scan.foreign = file_size > kRecordBytes;
    return scan;
  }
  if (!BeginsAsRecord(text)) {
    scan.foreign = true;
    return scan;
  }
  // Every version keeps the state where it is and the token as a string of digits.
  scan.held = text.size() < kStateOffset + kStateBytes ||
              text.substr(kStateOffset, kStateBytes) != kStateFree;
  const size_t token = FindToken(text);
  if (token == std::string_view::npos) return scan;
  const auto end = std::from_chars(data + token, data + size, scan.token);
  // The next token after the last number that there is would be 0.
  scan.foreign = end.ec == std::errc::result_out_of_range ||
                 scan.token == std::numeric_limits<uint64_t>::max();
  return scan;
}

bool IsStartOfHeld(const char* data, size_t size) {
  return std::string_view(data, size) == kBeforeChecksum.substr(0, kStartBytes);
}

}  // namespace holdfast
