// Sizes and counts as people write them. KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB are
// powers of 1000; a bare K, M, G, T is binary, as in GNU tools. Counts (parameters) are decimal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun {

// "8GiB", "1.5GB", "512 MB", "4096"; case does not matter. kUsage when it is none of these.
Result<uint64_t> parse_bytes(std::string_view text);
// "7B", "1.5b", "135M", "350K", "2T", "1000000".
Result<uint64_t> parse_count(std::string_view text);

std::string format_bytes(uint64_t n_bytes);          // binary: "941.5 MiB", "512 B"
std::string format_bytes_decimal(uint64_t n_bytes);  // decimal: "987.2 MB"
std::string format_count(uint64_t count);            // "134.5M", "1.54B", "768"
std::string format_duration(double seconds);         // "3.2 s", "2 min 05 s", "1 h 02 min"

}  // namespace llmrun
