// What a model file holds and what running it will take, as plain data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/rope_override.h"

namespace llmrun {

struct TensorEntry {
  std::string name;
  std::string type;            // "Q4_K", …
  std::vector<int64_t> shape;  // as in the file: the innermost (input) dimension first
  uint64_t bytes = 0;
};

// One row of the table of layers: consecutive equal layers are one row.
struct LayerGroup {
  int first = 0, last = 0;
  std::string mixer;  // "attention 9 heads, 3 KV heads, 64 wide", "latent attention …"
  std::string ffn;    // "SwiGLU 1536", "MoE 8 of 128 experts, 768 wide"
  std::string notes;  // window, norms, biases, …
  uint64_t bytes = 0;
};

struct ModelInfo {
  std::filesystem::path path;
  std::string name;          // general.name
  std::string architecture;  // general.architecture
  bool runnable = true;      // false: loading works, running does not
  std::string why_not;       // the reason when not runnable
  bool writes_text = true;   // false: a model for vectors or scores, or one that sees whole texts
  uint64_t file_bytes = 0;
  int n_files = 1;
  uint64_t n_parameters = 0;
  std::vector<std::pair<std::string, double>>
      quantisation_mix;  // type, share of the weights' bytes
  double bits_per_weight = 0;
  int64_t context_length = 0;
  std::string rope;  // "base 10000, linear x4"; empty: the model has none
  int64_t embedding_length = 0;
  int64_t vocabulary_size = 0;
  std::string pooling;  // of embedding models: "mean", …; empty: the file names none
  std::vector<LayerGroup> layers;
  std::string tokenizer;        // "gpt2 (smollm)", "llama", "none"
  std::string chat_template;    // the model's own Jinja text; empty: it has none
  std::string template_source;  // "model", "Go template layer", "built-in: gemma", "none"
  std::string license;
  std::vector<TensorEntry> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;  // key, printable value
};

// Reads the file's directory (no weights). A model that cannot follow `rope` is an error.
LLMRUN_API Result<ModelInfo> inspect_model(const std::filesystem::path& path,
                                           const RopeOverride& rope = {});

// One tensor decoded to float32, shape outermost first.
struct DecodedTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
LLMRUN_API Result<DecodedTensor> decode_tensor(const std::filesystem::path& path,
                                               const std::string& name);

// ---- memory ------------------------------------------------------------------------------------

// M = P * 4 * 1.2 / (32 / Q): the rule of thumb, in bytes, for P parameters of Q bits.
LLMRUN_API double rule_of_thumb_bytes(double n_parameters, double bits);

struct ContextOptions {
  // Per conversation; 0: the model's own, or the most that takes half of the free memory.
  int64_t context_tokens = 0;
  int64_t max_sequences = 1;
  // Tokens that the conversations hold together, at least context_tokens; when they need more, the
  // one that came last waits. 0: max_sequences times context_tokens, or what fits.
  int64_t pool_tokens = 0;
  int64_t batch_tokens = 512;  // prompt tokens read in one pass
  std::string k_type = "f16";  // f32, f16, bf16, fp8, int8
  std::string v_type = "f16";
  // Rows of logits that one pass gives at most; 0: enough to decode. Session::logits() is faster
  // with more, at n_vocab * 4 bytes each.
  int64_t logits_rows = 0;
  // A folder in which what was read is kept for later processes; empty: none. It holds at most
  // prefix_cache_bytes, of which what was unused for longest goes first.
  std::filesystem::path prefix_cache = {};
  uint64_t prefix_cache_bytes = uint64_t{4} << 30;
};
// Of models that turn texts into vectors, and where a model does not tell.
inline constexpr int64_t kDefaultContextTokens = 8192;

struct MemoryItem {
  std::string component;
  uint64_t bytes = 0;
  std::string detail;
  bool mapped = false;  // pages of the model file, which the system can drop and read again
};
struct MemoryEstimate {
  std::vector<MemoryItem> items;
  uint64_t total_bytes = 0;
  uint64_t allocated_bytes = 0;  // of the total, what is not mapped
  uint64_t available_bytes = 0;  // of this machine, now
  int64_t context_tokens = 0;
  std::string context_source = {};  // "asked for", "the model's own", "the most that fits …"
  int64_t pool_tokens = 0;          // of all conversations together
  bool fits = false;
};
// The exact plan, on the file as it is, without loading it.
LLMRUN_API Result<MemoryEstimate> estimate_memory(const std::filesystem::path& path,
                                                  const ContextOptions& options);

// A card to plan for: by the name of its kind ("rtx4090"), by numbers, or both.
struct GpuKind {
  std::string gpu;
  uint64_t memory_bytes = 0;    // 0: that of the kind
  double bytes_per_second = 0;  // 0: that of the kind; without one no speed is told
};
struct GpuRequest {
  std::string device = "cuda";  // cards that are here: "cuda:0,1"
  // One for each of those, or one for all; a card of which this tells kind or memory need not be
  // here.
  std::vector<GpuKind> kinds = {};
  // Of main memory, for what stays there; 0: measured here when it is needed, which takes a moment.
  double host_bytes_per_second = 0;
  std::optional<int64_t> layers = {};       // on cards; nullopt: as many as fit
  std::optional<int64_t> cpu_experts = {};  // as LoadOptions has it
  bool split_tensors = false;               // as LoadOptions has it
};
struct GpuCardEstimate {
  std::string name;
  std::vector<MemoryItem> items;
  uint64_t total_bytes = 0;
  uint64_t memory_bytes = 0;
  int64_t n_layers = 0;
  int64_t n_cpu_experts = 0;  // of these layers, those whose experts are in main memory
  bool fits = false;
  uint64_t read_bytes = 0;      // there, by one token
  double bytes_per_second = 0;  // 0: not known
};
struct GpuEstimate {
  std::vector<GpuCardEstimate> cards;
  uint64_t host_bytes = 0;  // weights and caches that stay in main memory
  int64_t context_tokens = 0;
  int64_t n_layers = 0, n_layers_all = 0;  // on cards, and of the model
  int64_t n_cpu_experts = 0;  // of the layers on cards, those whose experts are in main memory
  std::vector<std::string> host_only = {};  // "layer 3: …": what has no form on a GPU, and why
  bool whole = false;
  bool fits = false;                  // on every card
  double most_tokens_per_second = 0;  // as bandwidth allows with a full context; 0: not known
  // What it comes from, beside the cards: bytes that one token reads of main memory, how fast (0:
  // it was not needed), and how often it crosses between devices, as long as that is taken to last.
  uint64_t host_read_bytes = 0;
  double host_bytes_per_second = 0;
  bool host_speed_measured = false;
  int64_t n_crossings = 0;
  double crossing_seconds = 0;
  // Of one token, what cards that share every layer tell each other: how often, the bytes that each
  // receives, and how long that is taken to last (through NCCL).
  int64_t n_exchanges = 0;
  uint64_t exchange_bytes = 0;
  double exchange_seconds = 0;
};
// The names of the kinds of card that estimate_gpu() knows.
LLMRUN_API std::vector<std::string> gpu_names();
// What of a model fits on cards, which need not be here.
LLMRUN_API Result<GpuEstimate> estimate_gpu(const std::filesystem::path& path,
                                            const ContextOptions& options,
                                            const GpuRequest& request);

}  // namespace llmrun
