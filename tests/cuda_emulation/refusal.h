// What the emulation refuses a launch for.
#pragma once

#include <string>

#include "kernels/cuda/device.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// Empty: it ran.
template <typename Params>
std::string refusal(unsigned blocks, unsigned threads, size_t shared, void (*kernel)(Params),
                    const Params& params) {
  try {
    launch({blocks, 1, 1}, threads, shared, nullptr, kernel, params);
  } catch (const cuda_emulation::Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace
}  // namespace llmrun::kernels::cuda
