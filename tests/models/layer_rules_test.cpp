// Rules that depend on the number of layers, which tiny models cannot follow: the spec is built
// from metadata alone and looked at.
#include <gtest/gtest.h>

#include <map>

#include "gguf/writer.h"
#include "models/registry.h"

namespace llmrun {
namespace {

using runtime::Attention;
using runtime::kNoRope;
using runtime::ModelSpec;

// The spec of a model of 4 heads with `n_layers` layers and more keys.
ModelSpec spec_of(const std::string& architecture, int64_t n_layers,
                  const std::map<std::string, int64_t>& more = {}) {
  gguf::Writer writer;
  const auto key = [&](const std::string& name) { return architecture + "." + name; };
  writer.add_metadata("general.architecture", architecture);
  writer.add_metadata(key("block_count"), n_layers);
  writer.add_metadata(key("embedding_length"), int64_t{64});
  writer.add_metadata(key("context_length"), int64_t{64});
  writer.add_metadata(key("feed_forward_length"), int64_t{8});
  writer.add_metadata(key("attention.head_count"), int64_t{4});
  writer.add_metadata(key("attention.key_length"), int64_t{32});
  writer.add_metadata(key("attention.layer_norm_epsilon"), 1e-5F);
  writer.add_metadata(key("attention.layer_norm_rms_epsilon"), 1e-5F);
  for (const auto& [name, value] : more) writer.add_metadata(key(name), value);
  const std::vector<float> table(64 * 2);
  const std::array<uint64_t, 2> dims = {64, 2};
  writer.add_tensor("token_embd.weight", 0, dims, std::as_bytes(std::span(table)));
  const std::vector<std::byte> bytes = writer.to_bytes().value();
  const auto file = gguf::File::from_bytes(bytes);
  EXPECT_TRUE(file);
  auto spec = models::build_spec(*file);
  EXPECT_TRUE(spec) << (spec ? "" : spec.error().message);
  return spec ? *std::move(spec) : ModelSpec();
}

const Attention& attention(const ModelSpec& spec, size_t layer) {
  return std::get<Attention>(spec.layers.at(layer).mixer);
}

TEST(LayerRules, BaichuanHasRopeOrLinearBiasesBySize) {
  const ModelSpec small = spec_of("baichuan", 32), large = spec_of("baichuan", 40);
  EXPECT_NE(attention(small, 31).rope, kNoRope);
  EXPECT_EQ(attention(small, 31).alibi_max_bias, 0.0F);
  EXPECT_EQ(attention(large, 39).rope, kNoRope);
  EXPECT_EQ(attention(large, 39).alibi_max_bias, 8.0F);
  EXPECT_EQ(attention(spec_of("baichuan", 2), 0).rope, kNoRope);
}

TEST(LayerRules, CommandRNormalisesHeadsFrom64LayersOn) {
  EXPECT_FALSE(attention(spec_of("command-r", 63), 0).q_norm);
  const ModelSpec large = spec_of("command-r", 64);
  ASSERT_TRUE(attention(large, 63).q_norm);
  EXPECT_EQ(attention(large, 63).q_norm->kind, runtime::NormKind::kLayer);
  EXPECT_EQ(attention(large, 63).q_norm->weight.shape, (std::vector<int64_t>{32, 4}));
}

TEST(LayerRules, Exaone4HasWindowsIn64Layers) {
  const ModelSpec large = spec_of("exaone4", 64), small = spec_of("exaone4", 30);
  for (size_t i = 0; i < 64; ++i) {
    const bool full = i % 4 == 3;
    EXPECT_EQ(attention(large, i).window, full ? 0 : 4096) << i;
    EXPECT_EQ(attention(large, i).rope == kNoRope, full) << i;
  }
  for (size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(attention(small, i).window, 0) << i;
    EXPECT_NE(attention(small, i).rope, kNoRope) << i;
  }
}

TEST(LayerRules, LargeGemmasScaleByTheirWidth) {
  for (const auto& [architecture, n_layers] : {std::pair("gemma2", 46), std::pair("gemma3", 62)}) {
    EXPECT_FLOAT_EQ(attention(spec_of(architecture, n_layers), 0).scale, 0.25F) << architecture;
    EXPECT_FLOAT_EQ(attention(spec_of(architecture, 4), 0).scale, 1.0F / std::sqrt(32.0F));
  }
}

TEST(LayerRules, ExaoneMoeRotatesInWindowedLayersOnly) {
  const ModelSpec spec = spec_of("exaone-moe", 8,
                                 {{"attention.sliding_window", 16},
                                  {"expert_count", 4},
                                  {"expert_used_count", 2},
                                  {"expert_feed_forward_length", 8},
                                  {"expert_gating_func", 2},
                                  {"leading_dense_block_count", 1}});
  for (size_t i = 0; i < 8; ++i) {
    const bool full = i % 4 == 3;
    EXPECT_EQ(attention(spec, i).window, full ? 0 : 16) << i;
    EXPECT_EQ(attention(spec, i).rope == kNoRope, full) << i;
    EXPECT_EQ(std::holds_alternative<runtime::DenseFfn>(spec.layers[i].ffn), i == 0) << i;
  }
}

// Draft layers at the end of a file are not part of the model.
TEST(LayerRules, DraftLayersAreLeftOut) {
  EXPECT_EQ(spec_of("exaone4", 31, {{"nextn_predict_layers", 1}}).layers.size(), 30U);
}

}  // namespace
}  // namespace llmrun
