// SHA-256 by OpenSSL, which uses the CPU's SHA instructions where there are any.
#include "base/sha256.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/file_io.h"

namespace llmrun {

struct Sha256::State {
  State() : digest(EVP_MD_CTX_new()) {
    ok = digest != nullptr && EVP_DigestInit_ex(digest, EVP_sha256(), nullptr) == 1;
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(digest); }

  EVP_MD_CTX* digest;
  bool ok = false;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (state_ == nullptr || !state_->ok) return;
  state_->ok = EVP_DigestUpdate(state_->digest, bytes.data(), bytes.size()) == 1;
}

Result<std::string> Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  const bool ok = state_ != nullptr && state_->ok &&
                  EVP_DigestFinal_ex(state_->digest, digest.data(), &length) == 1;
  state_.reset();
  if (!ok) return make_error(ErrorCode::kInternal, "OpenSSL cannot compute a SHA-256 checksum");
  std::string hex;
  for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

Result<std::string> sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Result<std::string> sha256_file(const std::string& path,
                                const std::function<void(uint64_t)>& progress) {
  LLMRUN_ASSIGN(const FileDescriptor file, open_regular_file(path));
  Sha256 hash;
  std::vector<std::byte> chunk(size_t{1} << 20);
  uint64_t total = 0;
  while (true) {
    const ssize_t n_read = ::read(file.get(), chunk.data(), chunk.size());
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) return system_error("cannot read", path);
    if (n_read == 0) return hash.finish();
    hash.update(std::span(chunk).first(static_cast<size_t>(n_read)));
    total += static_cast<uint64_t>(n_read);
    if (progress) progress(total);
  }
}

}  // namespace llmrun
