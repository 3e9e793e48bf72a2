// SHA-256 of bytes as they come, of a buffer, or of a file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "llmrun/error.h"

namespace llmrun {

// What SHA-256 remembers between two blocks of 64 bytes. With the state at a place in a file the
// bytes behind it can be checked without those before it.
using Sha256State = std::array<uint32_t, 8>;

class Sha256 {
 public:
  static constexpr uint64_t kBlockBytes = 64;

  Sha256();
  // Goes on behind the first `n_bytes` (a multiple of kBlockBytes), which left `state`.
  Sha256(const Sha256State& state, uint64_t n_bytes);
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits. Ends the computation.
  Result<std::string> finish();
  // Nothing unless a multiple of kBlockBytes was hashed.
  [[nodiscard]] std::optional<Sha256State> state() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Result<std::string> sha256_hex(std::span<const std::byte> bytes);
// `progress`, when given, is called with the bytes hashed so far.
Result<std::string> sha256_file(const std::string& path,
                                const std::function<void(uint64_t)>& progress = nullptr);

}  // namespace llmrun
