# The CPU targets, from the one that runs everywhere to the best. Each is a set of compiler flags
# for kernels/cpu/simd/<name>.h and the features (names of base/cpu_features.h) a CPU must have.
#
# For each target and each <op>.inc below, one small file is generated and compiled with the
# target's flags; it exports one table (cpu/targets.h) and nothing else. `llmrun_cpu_targets.def`
# lists what was compiled.
set(llmrun_cpu_ops matmul rows attention recurrent)
set(llmrun_cpu_directory ${CMAKE_CURRENT_BINARY_DIR}/cpu)
set(llmrun_cpu_sources)
set(llmrun_cpu_list "")

# LIKE names a target whose other tables serve as well: only the products are compiled anew.
function(llmrun_cpu_target name)
  cmake_parse_arguments(ARG "" "LIKE" "FLAGS;NEEDS" ${ARGN})
  set(ops ${llmrun_cpu_ops})
  set(others ${name})
  if(ARG_LIKE)
    set(ops matmul)
    set(others ${ARG_LIKE})
  endif()
  foreach(op ${ops})
    set(file ${llmrun_cpu_directory}/${op}_${name}.cpp)
    file(CONFIGURE OUTPUT ${file} CONTENT
      "#include \"kernels/cpu/simd/${name}.h\"\n#define LLMRUN_KERNEL_TABLE k_${op}_${name}\n#include \"kernels/cpu/${op}.inc\"\n")
    # Checks of every access for undefined behaviour make products a quarter of an hour's compiling;
    # what reads beyond its memory is found by AddressSanitizer.
    set(unchecked "")
    if(LLMRUN_SANITIZE AND op STREQUAL "matmul")
      set(unchecked ";-O1;-fno-sanitize=undefined")
    endif()
    # Optimised in every build: the generic code between the intrinsics is nothing without it.
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${ARG_FLAGS};-g1${unchecked}")
    list(APPEND llmrun_cpu_sources ${file})
  endforeach()
  string(REPLACE ";" " " needs "${ARG_NEEDS}")
  string(APPEND llmrun_cpu_list "LLMRUN_CPU_TARGET(${name}, ${others}, \"${needs}\")\n")
  set(llmrun_cpu_sources ${llmrun_cpu_sources} PARENT_SCOPE)
  set(llmrun_cpu_list ${llmrun_cpu_list} PARENT_SCOPE)
endfunction()

llmrun_cpu_target(plain FLAGS -O2 -Wno-psabi)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  llmrun_cpu_target(avx2 FLAGS -O3 -mavx2 -mfma -mf16c NEEDS avx2 fma f16c)
  # The products of a target take minutes under sanitizers. Those of avxvnni are the source of
  # vnni256, those of amx are in the test that has its instructions in software.
  if(NOT LLMRUN_SANITIZE)
    llmrun_cpu_target(avxvnni LIKE avx2 FLAGS -O3 -mavx2 -mfma -mf16c -mavxvnni
                      NEEDS avx_vnni avx2 fma f16c)
  endif()
  # The same source for CPUs that have the instruction as part of AVX-512; never the best of them.
  llmrun_cpu_target(vnni256 LIKE avx2
                    FLAGS -O3 -mavx2 -mfma -mf16c -mavx512f -mavx512vl -mavx512vnni
                    NEEDS avx512f avx512vl avx512_vnni avx2 fma f16c)
  # GCC 12 takes the undefined operands inside its own AVX-512 headers for a mistake (bug 105593).
  set(quiet "$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized;-Wno-maybe-uninitialized>")
  set(avx512_flags -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mfma -mf16c
      ${quiet})
  set(avx512_needs avx512f avx512bw avx512vl avx512dq avx512_vnni avx2 fma f16c)
  llmrun_cpu_target(avx512 FLAGS ${avx512_flags} NEEDS ${avx512_needs})
  if(NOT LLMRUN_SANITIZE)
    llmrun_cpu_target(amx LIKE avx512 FLAGS ${avx512_flags} -mamx-tile -mamx-int8 -mamx-bf16
                      NEEDS amx_tile amx_int8 amx_bf16 ${avx512_needs})
  endif()
  # For the test that compiles the products of amx with its instructions in software.
  set_property(GLOBAL PROPERTY LLMRUN_AVX512_FLAGS "${avx512_flags}")
endif()
file(CONFIGURE OUTPUT ${llmrun_cpu_directory}/llmrun_cpu_targets.def CONTENT "${llmrun_cpu_list}")
