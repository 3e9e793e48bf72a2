// The few functions of NCCL by which GPUs exchange data without the host, found in its library when
// the program runs: building needs nothing of it, and a machine that has none does without.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/cuda/runtime.h"
#include "llmrun/error.h"

namespace llmrun::kernels::cuda {

// As NCCL 2 has them in its binary interface.
struct NcclComm;  // a device's place among those that exchange
using NcclResult = int;
inline constexpr NcclResult kNcclSuccess = 0;
inline constexpr NcclResult kNcclInProgress = 7;
inline constexpr int kNcclFloat32 = 7;

struct Nccl {
  NcclResult (*get_version)(int* version) = nullptr;
  const char* (*get_error_string)(NcclResult result) = nullptr;
  NcclResult (*comm_init_all)(NcclComm** comms, int n_devices, const int* devices) = nullptr;
  NcclResult (*comm_destroy)(NcclComm* comm) = nullptr;
  NcclResult (*comm_abort)(NcclComm* comm) = nullptr;
  NcclResult (*comm_get_async_error)(NcclComm* comm, NcclResult* result) = nullptr;
  NcclResult (*all_gather)(const void* from, void* to, size_t count, int type, NcclComm* comm,
                           cudaStream_t stream) = nullptr;
  NcclResult (*group_start)() = nullptr;
  NcclResult (*group_end)() = nullptr;
  std::string version;  // "2.27.7"
};

// From libnccl.so.2, or the file that LLMRUN_NCCL names; "off" there is an error, as a library that
// is missing, too old or not what it should be is. What was loaded stays.
Result<const Nccl*> load_nccl();

}  // namespace llmrun::kernels::cuda
