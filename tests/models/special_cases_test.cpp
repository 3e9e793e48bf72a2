// What no stored model of 24 tokens shows: an output that covers only the last tokens of the
// vocabulary, and chunks of 8192 positions.
#include <deque>

#include "gguf/writer.h"
#include "models/changes.h"
#include "models/tiny.h"

namespace llmrun {
namespace {

using testing::kIds;

constexpr int64_t kWidth = 8;

// A model of one layer; row i of the output has the values of row (i + n_vocab - n_outputs) of a
// full one.
class OneLayer {
 public:
  OneLayer(const std::string& architecture, int64_t n_vocab, int64_t n_outputs) {
    writer_.add_metadata("general.architecture", architecture);
    const auto key = [&](const char* name) { return architecture + "." + name; };
    const std::vector<std::pair<const char*, uint32_t>> sizes = {{"block_count", 1},
                                                                 {"context_length", 64},
                                                                 {"embedding_length", kWidth},
                                                                 {"feed_forward_length", 16},
                                                                 {"attention.head_count", 2}};
    for (const auto& [name, value] : sizes) writer_.add_metadata(key(name), value);
    writer_.add_metadata(key("attention.layer_norm_rms_epsilon"), 1e-5F);
    for (const char* name : {"blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v", "blk.0.attn_output"}) {
      add(name, kWidth, kWidth);
    }
    add("blk.0.ffn_gate", kWidth, 16);
    add("blk.0.ffn_up", kWidth, 16);
    add("blk.0.ffn_down", 16, kWidth);
    for (const char* name : {"blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"}) {
      add(name, kWidth, 1);
    }
    for (const char* name : {"blk.0.attn_q_norm", "blk.0.attn_k_norm"}) add(name, kWidth / 2, 1);
    add("token_embd", kWidth, n_vocab);
    add("output", kWidth, n_outputs, n_vocab - n_outputs);
  }

  [[nodiscard]] std::vector<std::byte> bytes() const { return writer_.to_bytes().value(); }

 private:
  void add(const std::string& name, int64_t n_in, int64_t n_out, int64_t first_row = 0) {
    std::vector<float>& values = tensors_.emplace_back();
    for (int64_t i = 0; i < n_in * n_out; ++i) {
      const int64_t at = first_row * n_in + i;
      values.push_back(std::sin(static_cast<float>(at * at % 1009 + at)) + 0.2F);
    }
    std::vector<uint64_t> dims{static_cast<uint64_t>(n_in)};
    if (n_out > 1) dims.push_back(static_cast<uint64_t>(n_out));
    writer_.add_tensor(name + ".weight", 0, dims, std::as_bytes(std::span(values)));
  }

  gguf::Writer writer_;
  std::deque<std::vector<float>> tensors_;  // the writer refers to them
};

std::vector<float> logits_of(const std::vector<std::byte>& bytes) {
  const auto file = gguf::File::from_bytes(bytes).value();
  const auto backend = kernels::make_reference_backend();
  const auto model = runtime::Model::load(file, *backend, models::build_spec(file).value()).value();
  const auto context = model->new_context(testing::float_cache()).value();
  return testing::run_chunked(*context, kIds, 7).value();
}

TEST(Qwen3Tts, ScoresOnlyTheLastTokens) {
  constexpr size_t kVocab = 3080, kMissing = kVocab - 3072;
  const auto expected = logits_of(OneLayer("qwen3", kVocab, kVocab).bytes());
  const auto got = logits_of(OneLayer("qwen3tts", kVocab, 3072).bytes());
  ASSERT_EQ(got.size(), kIds.size() * kVocab);
  for (size_t i = 0; i < got.size(); ++i) {
    const float wanted = i % kVocab < kMissing ? -INFINITY : expected[i];
    ASSERT_EQ(got[i], wanted) << "row " << i / kVocab << ", token " << i % kVocab;
  }
}

TEST(Llama4, LayersAreOfTwoKinds) {
  const auto file = gguf::File::open(testing::stored("altered-llama4-experts")).value();
  const auto spec = models::build_spec(file).value();
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const auto& mixer = std::get<runtime::Attention>(spec.layers[i].mixer);
    const bool full = i % 4 == 3;
    EXPECT_EQ(mixer.chunk, full ? 0 : 8192) << i;
    EXPECT_EQ(mixer.rope == runtime::kNoRope, full) << i;
    EXPECT_EQ(mixer.q_norm.has_value(), !full) << i;
    EXPECT_FLOAT_EQ(mixer.temperature.scale, full ? 0.1F : 0.0F) << i;
    EXPECT_EQ(mixer.temperature.offset, full ? 1 : 0) << i;
  }
}

// A layer of chunks alone forgets everything at position 8192.
TEST(Llama4, ForgetsAtTheEdgeOfAChunk) {
  constexpr size_t kShared = 8192 - 64;  // tokens that the two texts begin with
  const auto bytes =
      testing::altered("altered-llama4-experts", {.numbers = {{"llama4.block_count", 1}}}).value();
  const auto file = gguf::File::from_bytes(bytes).value();
  const auto backend = testing::cpu_backend();
  const auto model = runtime::Model::load(file, *backend, models::build_spec(file).value()).value();
  runtime::ContextOptions options = testing::float_cache(3);
  options.context_tokens = 8192 + 64;
  options.batch_tokens = 508;
  const auto context = model->new_context(options).value();
  const auto feed = [&](runtime::SequenceId sequence, std::span<const TokenId> tokens) {
    runtime::Batch batch;
    batch.chunks = {{sequence, tokens, runtime::WantedLogits::kLast}};
    const auto row = context->forward(batch).value().row(0);
    return std::vector<float>(row.begin(), row.end());
  };
  std::vector<TokenId> ids;
  for (size_t i = 0; i < kShared; ++i) ids.push_back(kIds[i % kIds.size()]);
  const auto base = context->open_sequence().value();
  for (size_t i = 0; i < kShared; i += 508) feed(base, std::span(ids).subspan(i, 508));

  std::vector<std::vector<float>> last_of_chunk, first_of_next;
  for (const TokenId different : {5, 9}) {
    const auto sequence = context->fork_sequence(base, kShared).value();
    std::vector<TokenId> rest(64, 17);
    rest[0] = different;
    last_of_chunk.push_back(feed(sequence, rest));
    first_of_next.push_back(feed(sequence, std::span(kIds).first(1)));
  }
  EXPECT_NE(last_of_chunk[0], last_of_chunk[1]);
  EXPECT_EQ(first_of_next[0], first_of_next[1]);
}

}  // namespace
}  // namespace llmrun
