// SHA-256 of bytes as they come, of a buffer, or of a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "llmrun/error.h"

namespace llmrun {

class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits. Ends the computation.
  Result<std::string> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Result<std::string> sha256_hex(std::span<const std::byte> bytes);
// `progress`, when given, is called with the bytes hashed so far.
Result<std::string> sha256_file(const std::string& path,
                                const std::function<void(uint64_t)>& progress = nullptr);

}  // namespace llmrun
