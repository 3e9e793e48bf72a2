// Model: open, tokenize, detokenize, recommend.
#include "llmrun/model.h"

#include <algorithm>
#include <chrono>

#include "api/model_hash.h"
#include "api/model_impl.h"
#include "api/open_file.h"
#include "base/build_id.h"
#include "base/error.h"
#include "models/registry.h"
#include "sampling/options.h"

namespace llmrun {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A number of the file's general.sampling keys, whatever numeric type it is stored in.
std::optional<double> number(const gguf::Metadata& metadata, std::string_view key) {
  if (!metadata.contains(key)) return std::nullopt;
  if (const auto value = metadata.get<double>(key)) return *value;
  if (const auto value = metadata.get<int64_t>(key)) return static_cast<double>(*value);
  return std::nullopt;
}

// The files are kept in `files`; what is returned points to them.
Result<std::vector<runtime::AdapterFile>> open_adapters(const std::vector<AdapterOption>& wanted,
                                                        std::vector<gguf::File>& files) {
  for (const AdapterOption& option : wanted) {
    LLMRUN_ASSIGN(gguf::File file, open_gguf(option.path));
    files.push_back(std::move(file));
  }
  std::vector<runtime::AdapterFile> adapters;
  for (size_t i = 0; i < wanted.size(); ++i) adapters.push_back({&files[i], wanted[i].scale});
  return adapters;
}

// Sets one option when the file recommends a value in the option's range.
template <typename T>
void recommend(const gguf::Metadata& metadata, std::string_view key, T SamplingOptions::*field,
               SamplingOptions& options) {
  const auto value = number(metadata, key);
  if (!value) return;
  if constexpr (std::is_integral_v<T>) {
    if (!(*value >= INT32_MIN && *value <= INT32_MAX)) return;
  }
  SamplingOptions changed = options;
  changed.*field = static_cast<T>(*value);
  if (sampling::validate(changed)) options = changed;
}

void tell_devices(const Devices& devices, const LoadOptions& options) {
  if (!options.tell || devices.reason.empty()) return;
  if (devices.must_tell) {
    options.tell(devices.reason);
  } else if (options.tell_choice) {
    options.tell(fmt::format("{}: {}", devices.placement.name(0), devices.reason));
  }
}

}  // namespace

Result<const tokenizer::Tokenizer*> Model::Impl::need_tokenizer() const {
  if (tokenizer != nullptr) return tokenizer.get();
  return with_context({ErrorCode::kUnsupported,
                       fmt::format("This model has no tokenizer ({}); it can be used by token ids "
                                   "only.",
                                   why_no_tokenizer),
                       {}},
                      info.path.string());
}

std::string Model::Impl::target() const {
  const runtime::Placement& placement = devices.placement;
  if (!placement.divided()) return std::string(backend().target());
  std::string text;
  for (size_t i = 0; i < placement.devices.size(); ++i) {
    if (placement.tensors) {
      text += fmt::format("{}{} / {}", i == 0 ? "" : " + ", placement.devices[i]->target(),
                          placement.devices.size());
      continue;
    }
    const auto n = std::count(placement.layers.begin(), placement.layers.end(), i);
    text += fmt::format("{}{} x {}", i == 0 ? "" : " + ", placement.devices[i]->target(), n);
    const auto n_experts = std::count(placement.experts.begin(), placement.experts.end(), i);
    if (!placement.experts.empty()) text += fmt::format(" and experts x {}", n_experts);
  }
  return text;
}

Result<runtime::Model*> Model::Impl::need_weights() const {
  if (model != nullptr) return model.get();
  return make_error(ErrorCode::kUsage,
                    "This model was opened for its vocabulary only; use Model::open() to run it.");
}

void Model::Impl::keep_go_template(const std::string& source) {
  go_template = source;
  if (!source.empty() && info.chat_template.empty()) info.template_source = kGoTemplateOrigin;
}

Model::Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Result<Model> Model::open(const std::filesystem::path& path, const LoadOptions& options) {
  return Access::open(path, options, nullptr);
}

Result<Model> Access::open(const std::filesystem::path& path, const LoadOptions& options,
                           kernels::MatmulObserver* observer) {
  const auto start = Clock::now();
  LLMRUN_ASSIGN(gguf::File file, open_gguf(path));
  auto impl = std::make_shared<Model::Impl>(std::move(file));
  auto spec = models::build_spec(impl->file, options.rope);
  if (!spec) return with_context(spec.error(), path.string());
  impl->info = describe_file(impl->file, path, &*spec, {});
  impl->keep_go_template(options.go_template);
  LLMRUN_ASSIGN(const auto adapters, open_adapters(options.adapters, impl->adapters));
  LLMRUN_ASSIGN(impl->devices, open_devices(impl->file, *spec, adapters, options, observer));
  tell_devices(impl->devices, options);
  auto model =
      runtime::Model::load(impl->file, impl->devices.placement, std::move(*spec), adapters);
  if (!model) return with_context(model.error(), path.string());
  impl->model = std::move(*model);
  impl->rope = options.rope;
  impl->adapter_options = options.adapters;
  LLMRUN_ASSIGN(auto tokenizer, load_tokenizer(impl->file));
  impl->tokenizer = std::move(tokenizer.tokenizer);
  impl->why_no_tokenizer = std::move(tokenizer.why_not);
  impl->vocabulary_bytes = tokenizer.bytes;
  impl->load_seconds = seconds_since(start);
  return Model(std::move(impl));
}

Result<Model> Model::open_vocabulary(const std::filesystem::path& path,
                                     const LoadOptions& options) {
  const auto start = Clock::now();
  LLMRUN_ASSIGN(gguf::File file, open_gguf(path));
  auto impl = std::make_shared<Impl>(std::move(file));
  impl->info = describe_file(impl->file, path, nullptr, "opened for its vocabulary only");
  impl->keep_go_template(options.go_template);
  LLMRUN_ASSIGN(auto tokenizer, load_tokenizer(impl->file));
  impl->tokenizer = std::move(tokenizer.tokenizer);
  impl->why_no_tokenizer = std::move(tokenizer.why_not);
  impl->vocabulary_bytes = tokenizer.bytes;
  impl->load_seconds = seconds_since(start);
  return Model(std::move(impl));
}

const ModelInfo& Model::info() const { return impl_->info; }

std::string Model::device() const {
  const runtime::Placement& placement = impl_->devices.placement;
  std::string text;
  for (size_t i = 0; i < placement.devices.size(); ++i) {
    const kernels::Backend& backend = *placement.devices[i];
    const int threads = backend.threads();
    text += fmt::format("{}{} ({}, {} thread{})", text.empty() ? "" : " and ", placement.name(i),
                        backend.target(), threads, threads == 1 ? "" : "s");
  }
  return text.empty() ? "none" : text;
}

std::string Model::device_reason() const { return impl_->devices.reason; }

double Model::load_seconds() const { return impl_->load_seconds; }

uint64_t Model::bytes_per_token() const {
  if (impl_->model == nullptr) return 0;
  return token_cost(impl_->file, impl_->model->spec()).weight_bytes;
}

// The keys are those that GGUF converters write from a model's generation_config.json.
SamplingOptions Model::recommended_sampling() const {
  const gguf::Metadata& metadata = impl_->file.metadata();
  SamplingOptions options;
  using S = SamplingOptions;
  recommend(metadata, "general.sampling.temp", &S::temperature, options);
  recommend(metadata, "general.sampling.top_k", &S::top_k, options);
  recommend(metadata, "general.sampling.top_p", &S::top_p, options);
  recommend(metadata, "general.sampling.min_p", &S::min_p, options);
  recommend(metadata, "general.sampling.xtc_probability", &S::xtc_probability, options);
  recommend(metadata, "general.sampling.xtc_threshold", &S::xtc_threshold, options);
  recommend(metadata, "general.sampling.penalty_last_n", &S::penalty_window, options);
  recommend(metadata, "general.sampling.penalty_repeat", &S::repeat_penalty, options);
  recommend(metadata, "general.sampling.mirostat", &S::mirostat, options);
  recommend(metadata, "general.sampling.mirostat_tau", &S::mirostat_tau, options);
  recommend(metadata, "general.sampling.mirostat_eta", &S::mirostat_eta, options);
  return options;
}

bool Model::has_tokenizer() const { return impl_->tokenizer != nullptr; }

Result<std::vector<TokenId>> Model::tokenize(std::string_view text,
                                             const TokenizeOptions& options) const {
  LLMRUN_ASSIGN(const tokenizer::Tokenizer* tokenizer, impl_->need_tokenizer());
  return tokenizer->encode(text, {options.add_special, options.parse_special});
}

Result<std::string> Model::detokenize(std::span<const TokenId> tokens, bool with_special) const {
  LLMRUN_ASSIGN(const tokenizer::Tokenizer* tokenizer, impl_->need_tokenizer());
  return tokenizer->decode(tokens, with_special);
}

std::string Model::token_text(TokenId token) const {
  if (impl_->tokenizer == nullptr || token < 0 ||
      static_cast<size_t>(token) >= impl_->tokenizer->size()) {
    return fmt::format("[{}]", token);
  }
  return std::string(impl_->tokenizer->piece(token, true));
}

Result<Session> Model::new_session(const ContextOptions& options) const {
  LLMRUN_ASSIGN(runtime::Model * model, impl_->need_weights());
  LLMRUN_ASSIGN(auto wanted, context_options(options, model->spec()));
  wanted.pooling.reset();  // a session is for logits
  auto impl = std::make_unique<Session::Impl>();
  impl->model = impl_;
  impl->options = options;
  LLMRUN_ASSIGN(const auto room, impl_->devices.free_bytes());
  LLMRUN_ASSIGN(impl->memory,
                choose_sizes(options, impl_->file, *model, impl_->vocabulary_bytes, wanted, room));
  LLMRUN_ASSIGN(wanted.commit, must_commit(impl->memory));
  LLMRUN_ASSIGN(impl->context, model->new_context(wanted));
  impl->engine = std::make_unique<engine::Engine>(
      *impl->context, engine::Vocabulary{impl_->tokenizer.get(), model->spec().n_vocab});
  if (!options.prefix_cache.empty()) {
    const auto key = [model_impl = impl_.get(),
                      context = impl->context.get()]() -> Result<std::string> {
      LLMRUN_ASSIGN(const std::string hash, model_hash(*model_impl));
      return fmt::format("{} {} {} {} {}", hash, build_id(), model_impl->backend().name(),
                         model_impl->target(), context->fingerprint());
    };
    impl->engine->keep_on_disk(
        {.folder = options.prefix_cache, .key = key, .max_bytes = options.prefix_cache_bytes});
  }
  return Session(std::move(impl));
}

}  // namespace llmrun
