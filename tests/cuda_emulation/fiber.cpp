// Switching stacks: six registers by hand on x86-64 (some 10 ns), ucontext elsewhere.
#include "cuda_emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#ifndef __x86_64__
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef __x86_64__
extern "C" void cuda_emulation_switch(void** saved, void* next);
asm(R"(
  .text
  .type cuda_emulation_switch,@function
cuda_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size cuda_emulation_switch, .-cuda_emulation_switch
)");
#endif

namespace cuda_emulation {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStackBytes = 256 * 1024;  // redzones around every local variable
#else
constexpr size_t kStackBytes = 64 * 1024;
#endif
constexpr size_t kPage = 4096;

Fiber* running = nullptr;  // where the last jump went
Fiber* left = nullptr;     // and where it came from

}  // namespace

// Where a new stack begins; never returns.
void begin_fiber() {
#ifdef __SANITIZE_ADDRESS__
  // Learns the bounds of the stack that was left: those of the thread's own are not known before.
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (!left->is_owner_) {
    left->stack_ = static_cast<std::byte*>(const_cast<void*>(bottom));
    left->stack_bytes_ = size;
  }
#endif
  running->main_();
  std::abort();  // main() jumps away instead of returning
}

Fiber::Fiber(Main main) : main_(main), is_owner_(true), stack_bytes_(kStackBytes) {
  // The page below the stack stays closed, so that an overflow faults.
  void* const memory = mmap(nullptr, kStackBytes + kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kPage, PROT_NONE);
  stack_ = static_cast<std::byte*>(memory) + kPage;
#ifndef __x86_64__
  saved_ = new ucontext_t;
#endif
  reset();
}

Fiber::~Fiber() {
  if (is_owner_) munmap(stack_ - kPage, stack_bytes_ + kPage);
#ifndef __x86_64__
  delete static_cast<ucontext_t*>(saved_);
#endif
}

void Fiber::reset() {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(stack_, stack_bytes_);
  fake_stack_ = nullptr;
#endif
#ifdef __x86_64__
  // Stacks begin at different cache lines, or all threads of a block would share a cache set.
  const auto shift = (reinterpret_cast<uintptr_t>(stack_) / (kStackBytes + kPage)) % 61 + 1;
  auto** top = reinterpret_cast<void**>(stack_ + stack_bytes_ - 64 * shift);
  *--top = nullptr;  // the return address of begin_fiber: keeps the alignment a call would have
  *--top = reinterpret_cast<void*>(&begin_fiber);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  saved_ = top;
#else
  auto* const context = static_cast<ucontext_t*>(saved_);
  getcontext(context);
  context->uc_stack.ss_sp = stack_;
  context->uc_stack.ss_size = stack_bytes_;
  context->uc_link = nullptr;
  makecontext(context, &begin_fiber, 0);
#endif
}

void Fiber::jump(Fiber& from, Fiber& to) {
  running = &to;
  left = &from;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.stack_bytes_);
#endif
#ifdef __x86_64__
  cuda_emulation_switch(&from.saved_, to.saved_);
#else
  if (from.saved_ == nullptr) from.saved_ = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from.saved_), static_cast<ucontext_t*>(to.saved_));
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(from.fake_stack_, nullptr, nullptr);  // back in `from`
#endif
}

}  // namespace cuda_emulation
