// The engine's front door: open a model, turn text into tokens and back, render a chat, and hold
// sessions that generate. All classes are movable handles; methods are not thread-safe.
//
//   auto model = llmrun::Model::open("smollm2.gguf").value();
//   auto session = model.new_session({}).value();
//   llmrun::GenerateOptions options;
//   auto answer = session.chat({{.role = "user", .content = "Hello"}}, options,
//                              [](const llmrun::StreamEvent& e) { fputs(e.text…); return true; });
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/embedding_options.h"
#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/generation.h"  // IWYU pragma: export
#include "llmrun/message.h"
#include "llmrun/model_info.h"
#include "llmrun/rope_override.h"
#include "llmrun/sampling_options.h"

namespace llmrun {

// A LoRA adapter, and how much of it is applied.
struct AdapterOption {
  std::filesystem::path path;  // a GGUF file
  float scale = 1.0F;
};

struct LoadOptions {
  std::string device = "auto";               // auto, cpu, cuda, cuda:N, cuda:N,M
  int threads = 0;                           // 0: one per physical core
  std::string cpu_target = {};               // empty: the best this machine has (see cpu_targets())
  RopeOverride rope = {};                    // another rotary embedding than the metadata describe
  std::vector<AdapterOption> adapters = {};  // applied in this order
  // A Go template that came with the model beside its file (Ollama's template layer). Chats are
  // rendered with it when the file has no template of its own.
  std::string go_template = {};
  // Of a model on GPUs: how many of its last layers they have; nullopt: as many as fit beside a
  // `context` such as will be asked of new_session(). The others are on the CPU.
  std::optional<int64_t> gpu_layers = {};
  // Of the layers that have experts, how many (the first ones) have these in main memory, where the
  // CPU runs them, wherever the rest of the layer is; nullopt: as is fastest.
  std::optional<int64_t> cpu_experts = {};
  ContextOptions context = {};
  std::optional<EmbedderOptions> embedder = {};  // set: for an Embedder of these instead
  // Of several GPUs: each has a share of every layer (some heads and columns), instead of some
  // layers. What cannot be shared is an error.
  bool split_tensors = false;
  bool strict_device = false;  // a layer that GPUs cannot run is an error
  // Is given one line when layers are divided among devices; with tell_choice, when "auto" chose.
  std::function<void(const std::string& line)> tell = {};
  bool tell_choice = false;
};

struct TokenizeOptions {
  bool add_special = true;     // BOS and EOS as the model's metadata asks
  bool parse_special = false;  // "<|im_end|>" in the text becomes that token
};

// What a chat template is given besides the messages. JSON is passed as text.
struct RenderOptions {
  bool add_generation_prompt = true;
  std::string tools_json;               // a JSON array, or empty
  std::string variables_json;           // a JSON object of further variables, or empty
  std::optional<bool> enable_thinking;  // the variable of that name, when set
  std::string template_override;        // Jinja or Go text used in place of the model's
  // Seconds since 1970 for strftime_now, told in UTC; none: the clock, in local time.
  std::optional<int64_t> now;
};

struct RenderedChat {
  std::string text;
  std::vector<TokenId> tokens;  // special tokens in what the user wrote are plain text here
  std::string template_source;  // "option", "model", "Go template layer", "built-in: llama3"
};

// Rows of float32 logits.
struct LogitRows {
  int64_t n_tokens = 0;
  int64_t n_vocab = 0;
  std::vector<float> values;  // [n_tokens, n_vocab]
};

// One conversation's cache. A prompt that begins like the last one is not read again.
class LLMRUN_API Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Renders the messages, reads them and answers.
  Result<Generation> chat(std::span<const Message> messages, const GenerateOptions& options,
                          const StreamCallback& on_text = {}, const RenderOptions& render = {});
  // Continues raw tokens. `text_before` seeds the split of thinking (the prompt's tail).
  Result<Generation> complete(std::span<const TokenId> prompt, const GenerateOptions& options,
                              const StreamCallback& on_text = {},
                              std::string_view text_before = {});
  // Raw logits of every position, from an empty cache; rows arrive batch by batch.
  using LogitsCallback = std::function<Result<void>(int64_t first_position, int64_t n_rows,
                                                    std::span<const float> rows)>;
  Result<void> logits(std::span<const TokenId> tokens, const LogitsCallback& on_rows);

  // What the last answer was made of, as JSON, for replay() (receipt.h). It must have been asked
  // for with hash_logits. `model_name` is how the model is found again.
  [[nodiscard]] Result<std::string> receipt(std::string_view model_name) const;
  // Why the last answer's text could not be kept in ContextOptions::prefix_cache; empty: it was.
  [[nodiscard]] std::string why_not_kept() const;

  // Makes a running chat() or complete() stop after the current token. Async-signal-safe.
  void cancel() noexcept;
  void clear();
  [[nodiscard]] int64_t cached_tokens() const;
  [[nodiscard]] int64_t context_tokens() const;
  [[nodiscard]] const MemoryEstimate& memory() const;

 private:
  friend class Model;
  friend struct Access;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class LLMRUN_API Model {
 public:
  static Result<Model> open(const std::filesystem::path& path, const LoadOptions& options = {});
  // Only what tokenize, detokenize and render_chat need: opens in milliseconds. Of the options the
  // template counts.
  static Result<Model> open_vocabulary(const std::filesystem::path& path,
                                       const LoadOptions& options = {});
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  [[nodiscard]] const ModelInfo& info() const;
  [[nodiscard]] std::string device() const;  // "cpu (avx2, 2 threads)"
  // Why "auto" chose that device, and how layers are divided; empty when all is as it was named.
  [[nodiscard]] std::string device_reason() const;
  [[nodiscard]] double load_seconds() const;
  // Bytes of weights read per decoded token, for GB/s.
  [[nodiscard]] uint64_t bytes_per_token() const;
  // The sampling that the model's metadata recommends over the defaults.
  [[nodiscard]] SamplingOptions recommended_sampling() const;

  Result<std::vector<TokenId>> tokenize(std::string_view text,
                                        const TokenizeOptions& options = {}) const;
  Result<std::string> detokenize(std::span<const TokenId> tokens, bool with_special = true) const;
  [[nodiscard]] std::string token_text(TokenId token) const;  // for display; never fails
  [[nodiscard]] bool has_tokenizer() const;
  Result<RenderedChat> render_chat(std::span<const Message> messages,
                                   const RenderOptions& options = {}) const;

  // Allocates everything the session will ever need, or says kOutOfMemory now.
  Result<Session> new_session(const ContextOptions& options = {}) const;

 private:
  friend class Session;
  friend struct Access;  // lets the instruments of tools.h in
  struct Impl;
  explicit Model(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace llmrun
