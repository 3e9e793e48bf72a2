// Makes a smaller file of a model; the `quantize` command.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/model.h"
#include "llmrun/tools.h"

namespace llmrun {

struct QuantizeOptions {
  std::filesystem::path input;
  std::filesystem::path output;
  std::string type = "Q4_K_M";   // one of quantize_types()
  bool keep_output_f16 = false;  // the output matrix (or the table that serves as one)
  // Regular expression, found anywhere in a tensor's name -> type. The first that matches wins.
  std::vector<std::pair<std::string, std::string>> overrides;
  std::filesystem::path importance;  // of `llmrun importance`; empty: none
  int threads = 0;                   // 0: one per physical core
  bool dry_run = false;              // decide the types and write nothing
  // Bytes of the input done, of all. An error stops the work; no output is left then.
  std::function<Result<void>(uint64_t done, uint64_t total)> progress;
};

struct QuantizedTensor {
  std::string name;
  std::vector<int64_t> shape;  // as in the file: the innermost (input) dimension first
  std::string from, to;
  uint64_t bytes_before = 0, bytes_after = 0;
  // Root of the squared error relative to that of the values as they were; 0 when nothing changed.
  double relative_error = 0;
  // The same with each column weighted by its importance, where it is known.
  std::optional<double> weighted_error;
  std::string note;  // why the type is not the one of the mix
};

struct Quantization {
  std::string type;
  std::vector<QuantizedTensor> tensors;
  uint64_t bytes_before = 0, bytes_after = 0;  // of all tensors
  double bits_per_weight = 0;
  double relative_error = 0;       // over all values
  uint64_t n_with_importance = 0;  // tensors whose fits were weighted
  std::vector<std::string> warnings;
};

// Memory stays at a few megabytes per thread; the output appears complete or not at all.
LLMRUN_API Result<Quantization> quantize_model(const QuantizeOptions& options);

struct QuantizeType {
  std::string name;   // "Q4_K_M"
  std::string about;  // "4.8 bits: the usual choice"
};
LLMRUN_API std::vector<QuantizeType> quantize_types();

// How much each input of each matrix matters when the model reads a text: the mean square of what
// goes in. The file has the GGUF layout ("imatrix") that other programs read and write.
struct ImportanceOptions {
  std::filesystem::path model;
  std::filesystem::path output;
  std::string text;
  std::string text_name;  // recorded in the file
  int64_t context_tokens = 512;
  LoadOptions load;
  // An error stops the work.
  std::function<Result<void>(const Perplexity& so_far, double share)> progress;
};
struct ImportanceReport {
  Perplexity perplexity;  // of the text, seen on the way
  uint64_t n_tensors = 0;
  uint64_t n_silent_experts = 0;  // matrices of expert stacks that no token went through
};
LLMRUN_API Result<ImportanceReport> gather_importance(const ImportanceOptions& options);

}  // namespace llmrun
