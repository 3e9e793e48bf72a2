// The cards that `estimate --gpu` knows: memory and bandwidth as the vendor gives them.
#include <cctype>

#include "base/error.h"
#include "runtime/device_plan.h"

namespace llmrun::runtime {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

std::string plain(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) continue;
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

}  // namespace

const std::vector<DeviceProfile>& device_profiles() {
  static const std::vector<DeviceProfile> profiles = {
      {"rtx3060", "GeForce RTX 3060 12 GB", 12 * kGiB, 360e9},
      {"rtx3090", "GeForce RTX 3090", 24 * kGiB, 936e9},
      {"rtx4060", "GeForce RTX 4060", 8 * kGiB, 272e9},
      {"rtx4060ti", "GeForce RTX 4060 Ti 16 GB", 16 * kGiB, 288e9},
      {"rtx4070", "GeForce RTX 4070", 12 * kGiB, 504e9},
      {"rtx4080", "GeForce RTX 4080", 16 * kGiB, 717e9},
      {"rtx4090", "GeForce RTX 4090", 24 * kGiB, 1008e9},
      {"rtx5070", "GeForce RTX 5070", 12 * kGiB, 672e9},
      {"rtx5080", "GeForce RTX 5080", 16 * kGiB, 960e9},
      {"rtx5090", "GeForce RTX 5090", 32 * kGiB, 1792e9},
      {"a10", "A10", 24 * kGiB, 600e9},
      {"a100", "A100 80 GB SXM", 80 * kGiB, 2039e9},
      {"l4", "L4", 24 * kGiB, 300e9},
      {"l40s", "L40S", 48 * kGiB, 864e9},
      {"h100", "H100 80 GB SXM", 80 * kGiB, 3350e9},
      {"h200", "H200 141 GB", 141000000000ULL, 4800e9},
  };
  return profiles;
}

Result<DeviceProfile> find_device_profile(std::string_view name) {
  const std::string wanted = plain(name);
  std::string known;
  for (const DeviceProfile& profile : device_profiles()) {
    if (profile.name == wanted) return profile;
    known += (known.empty() ? "" : ", ") + std::string(profile.name);
  }
  return make_error(ErrorCode::kNotFound,
                    "no card '{}' is in the table; it has: {}. For another one give --vram and "
                    "--bandwidth",
                    name, known);
}

}  // namespace llmrun::runtime
