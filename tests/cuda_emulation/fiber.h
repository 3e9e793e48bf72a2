// A fiber: a stack of its own to which the emulation switches by hand. Threads of a block are
// fibers, because a thousand of them must meet at barriers a million times per second.
#pragma once

#include <cstddef>

namespace cuda_emulation {

class Fiber {
 public:
  using Main = void (*)();

  Fiber() = default;  // the thread that calls launch()
  explicit Fiber(Main main);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Begins anew at main() with an empty stack, wherever it was left.
  void reset();
  // Leaves `from`, which must be the fiber that runs, and goes on in `to`.
  static void jump(Fiber& from, Fiber& to);

 private:
  Main main_ = nullptr;
  bool is_owner_ = false;  // of the stack; not of that of the thread itself
  std::byte* stack_ = nullptr;
  size_t stack_bytes_ = 0;
  void* saved_ = nullptr;       // the stack pointer, or a ucontext_t
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  friend void begin_fiber();
};

}  // namespace cuda_emulation
