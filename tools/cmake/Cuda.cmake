# The CUDA backend is optional. LLMRUN_CUDA=AUTO builds it when nvcc is found, ON demands it, OFF
# leaves it out. The program links the static CUDA runtime, which loads the driver when it is first
# needed: the same program starts on machines without one.
set(LLMRUN_CUDA OFF CACHE STRING "Build the CUDA backend: AUTO (when nvcc is found), ON or OFF")
set_property(CACHE LLMRUN_CUDA PROPERTY STRINGS AUTO ON OFF)
# A release: every generation from Ampere on, and PTX for those to come.
set(LLMRUN_CUDA_ARCHITECTURES "80-real;86-real;89-real;90a-real;120" CACHE STRING
    "Compute capabilities to compile for, as CMAKE_CUDA_ARCHITECTURES takes them")

set(LLMRUN_CUDA_BUILT OFF)
if(NOT LLMRUN_CUDA STREQUAL "OFF")
  find_program(LLMRUN_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_PATH PATH_SUFFIXES bin)
  if(LLMRUN_NVCC)
    set(CMAKE_CUDA_COMPILER ${LLMRUN_NVCC})
    set(CMAKE_CUDA_ARCHITECTURES ${LLMRUN_CUDA_ARCHITECTURES})
    enable_language(CUDA)
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows nvcc's up to C++17
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    find_package(CUDAToolkit REQUIRED)
    set(LLMRUN_CUDA_BUILT ON)
  elseif(LLMRUN_CUDA STREQUAL "ON")
    message(FATAL_ERROR "LLMRUN_CUDA=ON needs nvcc, the compiler of the CUDA toolkit, in PATH or "
                        "in /usr/local/cuda/bin")
  endif()
endif()

# Adds the backend's sources and what they link to the layer of the kernels.
function(llmrun_add_cuda target directory)
  if(NOT LLMRUN_CUDA_BUILT)
    target_sources(${target} PRIVATE ${directory}/disabled.cpp)
    return()
  endif()
  set(kernels matmul.cu products_float.cu products_small.cu products_k.cu products_codebook.cu
      products_grid.cu rows.cu rope.cu attention.cu best.cu draw.cu experts.cu recurrent.cu)
  list(TRANSFORM kernels PREPEND ${directory}/)
  # A library of its own, because nvcc does not know the flags of the other compiler.
  add_library(${target}_cuda OBJECT ${kernels})
  get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
  target_include_directories(${target}_cuda PRIVATE ${includes} ${PROJECT_SOURCE_DIR}/include
                             ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target}_cuda PRIVATE tl::expected)
  # Without contraction, as everywhere: fma is explicit, so all kernels round alike.
  target_compile_options(${target}_cuda PRIVATE -fmad=false --expt-relaxed-constexpr
                         -Xcompiler=-fno-omit-frame-pointer)
  if(CMAKE_CUDA_ARCHITECTURES MATCHES "90a")
    # For the one file that asks: the others stay as they are without CUDA, for the compiler's cache.
    set_source_files_properties(${directory}/backend.cpp TARGET_DIRECTORY ${target}
                                PROPERTIES COMPILE_DEFINITIONS LLMRUN_CUDA_WARP_GROUPS)
  endif()
  target_sources(${target} PRIVATE ${directory}/backend.cpp ${directory}/memory.cpp
                 ${directory}/nccl.cpp ${directory}/nccl_gatherer.cpp ${directory}/ops.cpp
                 ${directory}/ops_attention.cpp ${directory}/ops_products.cpp
                 ${directory}/queue.cpp ${directory}/weight_upload.cpp
                 $<TARGET_OBJECTS:${target}_cuda>)
  target_link_libraries(${target} PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
endfunction()
