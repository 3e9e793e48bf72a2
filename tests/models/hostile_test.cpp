// Metadata that lie and tensors that do not fit: always a typed error that says where, never a
// crash, a hang or a large allocation.
#include <gmock/gmock.h>

#include "models/changes.h"
#include "paths.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

using testing::altered;
using testing::Changes;

// Opens, builds, loads and runs; the first error on the way.
Result<void> try_all(std::span<const std::byte> bytes) {
  LLMRUN_ASSIGN(const gguf::File file, gguf::File::from_bytes(bytes));
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(file));
  const auto backend = kernels::make_reference_backend();
  LLMRUN_ASSIGN(const auto model, runtime::Model::load(file, *backend, std::move(spec)));
  LLMRUN_ASSIGN(const auto context, model->new_context(testing::float_cache()));
  LLMRUN_TRY(testing::run_chunked(*context, testing::kIds, 24));
  return {};
}

Error error_of(const std::string& name, const Changes& changes) {
  auto bytes = altered(name, changes);
  EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().message);
  if (!bytes) return {};
  auto result = try_all(*bytes);
  EXPECT_FALSE(result) << "was accepted";
  return result ? Error{} : result.error();
}

TEST(Hostile, UnchangedCopyRuns) {
  const auto bytes = altered("llama-dense", {});
  ASSERT_TRUE(bytes);
  const auto result = try_all(*bytes);
  EXPECT_TRUE(result) << result.error().message;
}

TEST(Hostile, Numbers) {
  const std::map<std::string, std::vector<int64_t>> values = {
      {"llama.block_count", {0, -1, 1025, INT64_MAX, 100}},
      {"llama.embedding_length", {0, -64, 63, INT64_MAX}},
      {"llama.context_length", {0, -5, INT64_MAX}},
      {"llama.attention.head_count", {0, -1, 3, 1 << 30}},
      {"llama.attention.head_count_kv", {0, -2, 3, INT64_MAX}},
      {"llama.attention.key_length", {0, -16, 1 << 20, 15}},
      {"llama.attention.value_length", {0, 7}},
      {"llama.rope.dimension_count", {-2, 5, 1000}},
      {"llama.feed_forward_length", {0, -1, 95, INT64_MAX}},
      {"llama.expert_count", {-1, 5000, 4}},
      {"llama.nextn_predict_layers", {-1, 2, 7}},
  };
  for (const auto& [key, numbers] : values) {
    for (const int64_t number : numbers) {
      SCOPED_TRACE(key + " = " + std::to_string(number));
      EXPECT_EQ(error_of("llama-dense", {.numbers = {{key, number}}}).code, ErrorCode::kBadModel);
    }
  }
}

TEST(Hostile, Floats) {
  const std::map<std::string, std::vector<float>> values = {
      {"llama.rope.freq_base", {0.0F, -1.0F, 1.0F, INFINITY, NAN}},
      {"llama.rope.scaling.factor", {-2.0F, NAN}},
      {"llama.attention.layer_norm_rms_epsilon", {-1.0F, NAN}},
  };
  for (const auto& [key, numbers] : values) {
    for (const float number : numbers) {
      SCOPED_TRACE(key + " = " + std::to_string(number));
      EXPECT_EQ(error_of("llama-dense", {.floats = {{key, number}}}).code, ErrorCode::kBadModel);
    }
  }
  for (const float beta : {0.0F, -1.0F, NAN}) {
    EXPECT_EQ(
        error_of("altered-kimi-k3-bank", {.floats = {{"kimi-k3.activation.situ_beta", beta}}}).code,
        ErrorCode::kBadModel);
  }
}

TEST(Hostile, Experts) {
  const std::map<std::string, std::vector<int64_t>> values = {
      {"qwen3moe.expert_used_count", {0, 9, -1}},
      {"qwen3moe.expert_count", {0, 1, 16, 4097}},
      {"qwen3moe.expert_group_count", {3, 9}},
      {"qwen3moe.expert_feed_forward_length", {-1, 23, 1 << 30}},
  };
  for (const auto& [key, numbers] : values) {
    for (const int64_t number : numbers) {
      SCOPED_TRACE(key + " = " + std::to_string(number));
      EXPECT_EQ(error_of("altered-qwen3moe-experts", {.numbers = {{key, number}}}).code,
                ErrorCode::kBadModel);
    }
  }
}

// Whatever a number says, the model runs or is refused with a reason.
TEST(Hostile, EveryNumberOfEveryStoredModel) {
  size_t n_refused = 0, n_ran = 0;
  const auto run = [&](const std::string& name, const Changes& changes) {
    const auto bytes = altered(name, changes);
    ASSERT_TRUE(bytes);
    const auto result = try_all(*bytes);
    (result ? n_ran : n_refused) += 1;
    EXPECT_TRUE(result || !result.error().message.empty());
  };
  const std::string folder = std::string(tests::kSourceDir) + "/tests/data/archs";
  for (const std::string& stem : testing::models_in(folder)) {
    const std::string name = std::filesystem::path(stem).filename().string();
    const auto file = gguf::File::open(stem + ".gguf");
    ASSERT_TRUE(file);
    for (const auto& [key, value] : file->metadata().entries()) {
      SCOPED_TRACE(name + ", " + std::string(key));
      if (value.as<int64_t>()) {
        for (const int64_t number : {int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{3}, int64_t{7},
                                     int64_t{64}, int64_t{4097}, INT64_MAX}) {
          run(name, {.numbers = {{std::string(key), number}}});
        }
      } else if (value.as<float>()) {
        for (const float number : {-1.0F, 0.0F, 1e30F, INFINITY, NAN}) {
          run(name, {.floats = {{std::string(key), number}}});
        }
      }
    }
  }
  EXPECT_GT(n_refused, 1000U);
  EXPECT_GT(n_ran, 100U);
}

TEST(Hostile, KeysOfSingleArchitectures) {
  const std::vector<std::pair<std::string, Changes>> cases = {
      {"altered-nanbeige-loops", {.numbers = {{"nanbeige.num_loops", 0}}}},
      {"altered-nanbeige-loops", {.numbers = {{"nanbeige.num_loops", 513}}}},
      {"altered-nanbeige-loops", {.numbers = {{"nanbeige.num_loops", INT64_MAX}}}},
      {"altered-llama4-experts", {.numbers = {{"llama4.interleave_moe_layer_step", 0}}}},
      {"altered-llama4-experts", {.dropped = {"llama4.interleave_moe_layer_step"}}},
      {"altered-maple-window", {.floats = {{"maple.swiglu_clamp_exp", NAN}}}},
      {"altered-maple-window", {.dropped = {"maple.swiglu_clamp_exp"}}},
      {"altered-maple-window", {.numbers = {{"maple.rope.dimension_count_swa", 10}}}},
      {"altered-mimo2-window", {.dropped = {"mimo2.attention.sliding_window_pattern"}}},
      {"altered-mimo2-window", {.dropped = {"mimo2.attention.sliding_window"}}},
      {"altered-smallthinker-experts", {.dropped = {"smallthinker.expert_gating_func"}}},
      {"altered-spark2-5-window", {.copies = {{"blk.0.attn_gate.weight", "blk.1.attn_q.weight"}}}},
      {"altered-talkie-scales", {.dropped = {"blk.1.layer_output_scale.weight"}}},
      {"altered-talkie-scales", {.floats = {{"talkie.logit_scale", NAN}}}},
      {"altered-mpt-awq", {.copies = {{"blk.0.ffn.act.scales", "output_norm.weight"}}}},
      {"altered-qwen2vl-sections", {.numbers = {{"qwen2vl.rope.dimension_sections", 4}}}},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(std::to_string(i) + ": " + cases[i].first);
    EXPECT_EQ(error_of(cases[i].first, cases[i].second).code, ErrorCode::kBadModel);
  }
}

TEST(Hostile, LatentAttention) {
  const std::map<std::string, std::vector<int64_t>> values = {
      {"deepseek2.attention.key_length_mla", {0, 8, 7, -1}},
      {"deepseek2.attention.kv_lora_rank", {0, 15, INT64_MAX}},
      {"deepseek2.attention.q_lora_rank", {0, 19}},
      {"deepseek2.rope.dimension_count", {0, 21}},
      {"deepseek2.expert_gating_func", {0, 5}},
      {"deepseek2.rope.scaling.original_context_length", {0, -1}},
  };
  for (const auto& [key, numbers] : values) {
    for (const int64_t number : numbers) {
      SCOPED_TRACE(key + " = " + std::to_string(number));
      EXPECT_EQ(error_of("altered-deepseek2-absorbed", {.numbers = {{key, number}}}).code,
                ErrorCode::kBadModel);
    }
  }
}

TEST(Hostile, Encoders) {
  const std::map<std::string, std::vector<int64_t>> values = {
      {"bert.pooling_type", {-1, 5}},
      {"bert.attention.head_count", {0, 3}},
      {"bert.context_length", {0, 63, 65}},  // position_embd has 64 rows
      {"bert.embedding_length", {31, 64}},
  };
  for (const auto& [key, numbers] : values) {
    for (const int64_t number : numbers) {
      SCOPED_TRACE(key + " = " + std::to_string(number));
      EXPECT_EQ(error_of("../encoders/bert", {.numbers = {{key, number}}}).code,
                ErrorCode::kBadModel);
    }
  }
  for (const char* name : {"token_embd_norm.weight", "token_embd_norm.bias", "position_embd.weight",
                           "blk.1.layer_output_norm.weight"}) {
    EXPECT_THAT(error_of("../encoders/bert", {.dropped = {name}}).message, HasSubstr(name));
  }
  // Classifiers whose layers do not fit each other, or the model.
  for (const char* name : {"cls.weight", "cls.output.weight", "cls.bias"}) {
    EXPECT_EQ(
        error_of("../encoders/bert-reranker", {.copies = {{name, "position_embd.weight"}}}).code,
        ErrorCode::kBadModel);
  }
}

TEST(Hostile, RecurrentMixers) {
  const std::map<std::string, std::map<std::string, std::vector<int64_t>>> models = {
      {"altered-mamba-norms",
       {{"mamba.ssm.inner_size", {0, -1, 63, INT64_MAX}},
        {"mamba.ssm.state_size", {0, 7, 1 << 20}},
        {"mamba.ssm.conv_kernel", {0, 4, 65}},
        {"mamba.ssm.time_step_rank", {0, 4, INT64_MAX}}}},
      {"altered-mamba2-groups",
       {{"mamba2.ssm.inner_size", {0, 47, INT64_MAX}},
        {"mamba2.ssm.time_step_rank", {0, 5, 7, 48}},
        {"mamba2.ssm.group_count", {0, 4, 6, -3}}}},
      {"altered-plamo2-heads", {{"plamo2.ssm.time_step_rank", {0, 5, 12}}}},
      {"altered-lfm2-window", {{"lfm2.shortconv.l_cache", {0, 3, 65, INT64_MAX}}}},
      {"altered-minimax-interval",
       {{"minimax-01.full_attention_interval", {0, -1, 3}},
        {"minimax-01.attention.key_length", {0, 7, 1 << 20}}}},
      {"altered-qwen3next-fused",
       {{"qwen3next.ssm.group_count", {0, 3, 4, INT64_MAX}},
        {"qwen3next.ssm.time_step_rank", {0, 2, 1 << 20}},
        {"qwen3next.ssm.inner_size", {0, 23, 48}},
        {"qwen3next.ssm.state_size", {0, 12, 4096}},
        {"qwen3next.attention.value_length", {6}}}},
      {"altered-kimi-linear-heads",
       {{"kimi-linear.kda.head_dim", {0, 7, 1025}},
        {"kimi-linear.ssm.conv_kernel", {0, 3, 65}},
        {"kimi-linear.attention.head_count", {0, 1, 4}}}},
      {"altered-nemotron-h-moe-latent",
       {{"nemotron_h_moe.moe_latent_size", {8, -1}},
        {"nemotron_h_moe.expert_shared_feed_forward_length", {0, 19}}}},
      {"altered-kimi-k3-bank",
       {{"kimi-k3.attn_res.block_size", {-1, 1025}}, {"kimi-k3.expert_latent_length", {9, -1}}}},
      {"altered-qwen4exp-ngrams",
       {{"qwen4exp.hyper_connection.count", {0, 1, 4, 65}},
        {"qwen4exp.hyper_connection.low_rank", {0, 7, INT64_MAX}},
        {"qwen4exp.ple.ngram_size", {0, 1, 2, 4, 17}},
        {"qwen4exp.ple.heads_per_ngram", {0, 3}},
        {"qwen4exp.ple.conv_kernel", {0, 4, 65}},
        {"qwen4exp.embedding_length_per_layer_input", {0, 16}}}},
  };
  for (const auto& [model, keys] : models) {
    for (const auto& [key, numbers] : keys) {
      for (const int64_t number : numbers) {
        SCOPED_TRACE(key + " = " + std::to_string(number));
        EXPECT_EQ(error_of(model, {.numbers = {{key, number}}}).code, ErrorCode::kBadModel);
      }
    }
  }
}

TEST(Hostile, WrongTypesOfKeys) {
  EXPECT_THAT(error_of("llama-dense", {.texts = {{"llama.block_count", "two"}}}).message,
              HasSubstr("llama.block_count"));
  EXPECT_THAT(error_of("llama-dense", {.numbers = {{"llama.rope.freq_base", 10000}}}).message,
              HasSubstr("llama.rope.freq_base"));
}

TEST(Hostile, MissingTensorsAreNamed) {
  for (const char* name : {"blk.0.attn_q.weight", "blk.1.ffn_down.weight", "output_norm.weight",
                           "token_embd.weight", "blk.1.attn_norm.weight"}) {
    const Error error = error_of("llama-dense", {.dropped = {name}});
    EXPECT_EQ(error.code, ErrorCode::kBadModel);
    EXPECT_THAT(error.message, HasSubstr(name));
  }
}

TEST(Hostile, MissingKeysAreNamed) {
  for (const char* key : {"llama.block_count", "llama.embedding_length", "llama.context_length",
                          "llama.attention.layer_norm_rms_epsilon"}) {
    const Error error = error_of("llama-dense", {.dropped = {key}});
    EXPECT_EQ(error.code, ErrorCode::kBadModel);
    EXPECT_THAT(error.message, HasSubstr(key));
  }
  const Error error = error_of("altered-mamba2-groups", {.dropped = {"mamba2.ssm.group_count"}});
  EXPECT_EQ(error.code, ErrorCode::kBadModel);
  EXPECT_THAT(error.message, HasSubstr("mamba2.ssm.group_count"));
}

TEST(Hostile, WrongShapesTellBothShapes) {
  const Error error =
      error_of("llama-dense", {.copies = {{"blk.0.ffn_down.weight", "blk.0.attn_norm.weight"}}});
  EXPECT_EQ(error.code, ErrorCode::kBadModel);
  EXPECT_THAT(error.message, HasSubstr("blk.0.ffn_down.weight"));
  EXPECT_THAT(error.message, HasSubstr("[64]"));
  EXPECT_THAT(error.message, HasSubstr("[96, 64]"));
}

TEST(Hostile, UnknownArchitectureNamesTheNearest) {
  const Error error = error_of("llama-dense", {.texts = {{"general.architecture", "qwen3mo"}}});
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_THAT(error.message, HasSubstr("qwen3moe"));
  EXPECT_EQ(error_of("llama-dense", {.dropped = {"general.architecture"}}).code,
            ErrorCode::kNotFound);
}

}  // namespace
}  // namespace llmrun
