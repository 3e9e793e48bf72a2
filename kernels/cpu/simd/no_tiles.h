// What stands for tile registers on CPUs that have none; see tiles.h.
#pragma once

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

struct NoTiles {
  static constexpr bool kPresent = false;
  template <typename... Arguments>
  static void dots(Arguments...);  // never called
};

}  // namespace
}  // namespace llmrun::kernels::cpu
