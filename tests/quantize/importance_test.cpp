// Importance files: they come back as written, and broken ones are told apart.
#include "quantize/importance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "base/temporary_folder.h"
#include "gguf/writer.h"

namespace llmrun::quantize {
namespace {

Importance two_entries() {
  Importance importance;
  importance.datasets = {"book.txt"};
  importance.n_chunks = 3;
  importance.chunk_tokens = 512;
  importance.entries["blk.0.ffn_up.weight"] = {
      .n_in = 4, .n_matrices = 1, .sums = {4, 0, 8, 4}, .counts = {2}};
  importance.entries["blk.0.ffn_up_exps.weight"] = {
      .n_in = 2, .n_matrices = 2, .sums = {1, 3, 0, 0}, .counts = {7, 0}};
  return importance;
}

// A file with one pair of tensors of these shapes and sums.
std::string file_with(const std::string& path, std::vector<uint64_t> sums_shape,
                      std::vector<uint64_t> counts_shape, float value,
                      const char* kind = "imatrix") {
  uint64_t n_sums = 1;
  for (const uint64_t n : sums_shape) n_sums *= n;
  uint64_t n_counts = 1;
  for (const uint64_t n : counts_shape) n_counts *= n;
  const std::vector<float> sums(n_sums, value);
  const std::vector<float> counts(n_counts, 1.0F);
  gguf::Writer writer;
  writer.add_metadata("general.type", kind);
  writer.add_tensor("w.weight.in_sum2", 0, sums_shape, std::as_bytes(std::span(sums)));
  writer.add_tensor("w.weight.counts", 0, counts_shape, std::as_bytes(std::span(counts)));
  EXPECT_TRUE(writer.write(path));
  return path;
}

TEST(Importance, ComesBackAsWritten) {
  const test::TemporaryFolder folder;
  const Importance before = two_entries();
  ASSERT_TRUE(write_importance(before, folder.file("i.gguf")));
  const auto after = read_importance(folder.file("i.gguf"));
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->datasets, before.datasets);
  EXPECT_EQ(after->n_chunks, 3U);
  EXPECT_EQ(after->chunk_tokens, 512U);
  ASSERT_EQ(after->entries.size(), 2U);
  const ImportanceEntry& experts = after->entries.at("blk.0.ffn_up_exps.weight");
  EXPECT_EQ(experts.n_in, 2);
  EXPECT_EQ(experts.n_matrices, 2);
  EXPECT_EQ(experts.sums, (std::vector<float>{1, 3, 0, 0}));
  EXPECT_EQ(experts.counts, (std::vector<float>{7, 0}));
}

TEST(Importance, WeightsHaveMeanOneAndNoZeros) {
  const Importance importance = two_entries();
  EXPECT_EQ(importance.entries.at("blk.0.ffn_up.weight").weights(0),
            (std::vector<float>{1.0F, 1e-3F, 2.0F, 1.0F}));
  const ImportanceEntry& experts = importance.entries.at("blk.0.ffn_up_exps.weight");
  EXPECT_EQ(experts.weights(0), (std::vector<float>{0.5F, 1.5F}));
  EXPECT_TRUE(experts.weights(1).empty());  // no token went there: nothing is known
}

TEST(Importance, BrokenFilesAreErrors) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("i.gguf");
  EXPECT_TRUE(read_importance(file_with(path, {4, 2}, {1, 2}, 1.0F)));
  EXPECT_EQ(read_importance(file_with(path, {4, 2}, {1, 3}, 1.0F)).error().code,
            ErrorCode::kBadModel);
  EXPECT_EQ(read_importance(file_with(path, {4}, {1}, -1.0F)).error().code, ErrorCode::kBadModel);
  EXPECT_EQ(read_importance(file_with(path, {4}, {1}, std::nanf(""))).error().code,
            ErrorCode::kBadModel);
  EXPECT_EQ(read_importance(file_with(path, {4}, {1}, 1.0F, "model")).error().code,
            ErrorCode::kUsage);
  EXPECT_EQ(read_importance(folder.file("none")).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace llmrun::quantize
