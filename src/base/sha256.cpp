// SHA-256 by OpenSSL, which uses the CPU's SHA instructions where there are any. Through its older
// interface, because the newer one does not show the state.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/sha256.h"

#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/file_io.h"

namespace llmrun {

struct Sha256::Context {
  SHA256_CTX hash = {};
  bool ok = SHA256_Init(&hash) == 1;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}

Sha256::Sha256(const Sha256State& state, uint64_t n_bytes) : Sha256() {
  std::copy(state.begin(), state.end(), context_->hash.h);
  const uint64_t n_bits = n_bytes * 8;
  context_->hash.Nl = static_cast<SHA_LONG>(n_bits);
  context_->hash.Nh = static_cast<SHA_LONG>(n_bits >> 32);
  context_->ok = context_->ok && n_bytes % kBlockBytes == 0;
}

Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (context_ == nullptr || !context_->ok) return;
  context_->ok = SHA256_Update(&context_->hash, bytes.data(), bytes.size()) == 1;
}

Result<std::string> Sha256::finish() {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  const bool ok =
      context_ != nullptr && context_->ok && SHA256_Final(digest.data(), &context_->hash) == 1;
  context_.reset();
  if (!ok) return make_error(ErrorCode::kInternal, "OpenSSL cannot compute a SHA-256 checksum");
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::optional<Sha256State> Sha256::state() const {
  if (context_ == nullptr || !context_->ok || context_->hash.num != 0) return std::nullopt;
  Sha256State state{};
  std::copy(std::begin(context_->hash.h), std::end(context_->hash.h), state.begin());
  return state;
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
