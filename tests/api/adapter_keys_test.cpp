// An adapter makes another model: what was read with it is of no use without it, nor with another
// one or another scale, and a receipt tells them apart.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "api_fixture.h"
#include "gguf/writer.h"
#include "llmrun/receipt.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class AdapterKeys : public testing::Test {
 protected:
  AdapterKeys()
      : folder_(fs::path(testing::TempDir()) / ("adapter-keys-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    one_ = write_adapter("one.gguf", 0.7F);
    two_ = write_adapter("two.gguf", 1.9F);
  }
  ~AdapterKeys() override { fs::remove_all(folder_); }

  // Of the queries of the first layer; `phase` makes the factors.
  fs::path write_adapter(const std::string& name, float phase) {
    constexpr uint64_t kWidth = 64, kRank = 4;
    std::vector<float> values(kWidth * kRank);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = 0.3F * std::sin(phase * static_cast<float>(i + 1));
    }
    gguf::Writer writer;
    writer.add_metadata("general.type", "adapter");
    writer.add_metadata("general.architecture", "llama");
    writer.add_metadata("adapter.type", "lora");
    writer.add_metadata("adapter.lora.alpha", 8.0F);
    const auto bytes = std::as_bytes(std::span(values));
    constexpr uint32_t kF32 = 0;
    const std::vector<uint64_t> a = {kWidth, kRank}, b = {kRank, kWidth};
    writer.add_tensor("blk.0.attn_q.weight.lora_a", kF32, a, bytes);
    writer.add_tensor("blk.0.attn_q.weight.lora_b", kF32, b, bytes);
    const auto file = must(writer.to_bytes());
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()),
               static_cast<std::streamsize>(file.size()));
    return path;
  }

  static Model open(std::vector<AdapterOption> adapters) {
    return must(Model::open(tiny_chat_path(), {.threads = 1, .adapters = std::move(adapters)}));
  }
  static GenerateOptions greedy() {
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.max_tokens = 12;
    options.ignore_end = true;
    options.hash_logits = true;
    return options;
  }

  // A long prompt, in a session of its own that keeps what it reads on disk.
  Generation ask(std::vector<AdapterOption> adapters) {
    const Model model = open(std::move(adapters));
    Session session = must(model.new_session({.prefix_cache = folder_ / "prefixes"}));
    std::vector<TokenId> prompt;
    for (TokenId i = 0; i < 400; ++i) prompt.push_back(3 + i * i % 120);
    return must(session.complete(prompt, greedy()));
  }

  fs::path folder_, one_, two_;
};

TEST_F(AdapterKeys, OnDiskEachHasPagesOfItsOwn) {
  const std::vector<std::vector<AdapterOption>> kinds = {
      {}, {{one_}}, {{two_}}, {{one_, 0.5F}}, {{one_}, {two_}}, {{two_}, {one_}}};
  std::vector<Generation> first;
  for (const auto& adapters : kinds) {
    first.push_back(ask(adapters));
    EXPECT_EQ(first.back().usage.cached, 0) << "pages of another one were taken";
  }
  for (size_t i = 0; i < kinds.size(); ++i) {
    const Generation again = ask(kinds[i]);
    EXPECT_EQ(again.usage.cached, 384);
    EXPECT_EQ(again.logits_hashes, first[i].logits_hashes);
    // The last two are the same sum in another order.
    for (size_t j = 0; j < std::min<size_t>(i, 4); ++j) {
      EXPECT_NE(again.logits_hashes, first[j].logits_hashes) << "the adapter has no effect";
    }
  }
}

// In memory a cache belongs to a session, a session to a model, and a model to its adapters.
TEST_F(AdapterKeys, InMemoryNothingIsShared) {
  const Model with_one = open({{one_}});
  const Model with_two = open({{two_}});
  Session a = must(with_one.new_session());
  Session b = must(with_two.new_session());
  const std::vector<Message> chat = {user("A question that is long enough to fill some pages")};
  const Generation of_one = must(a.chat(chat, greedy()));
  EXPECT_GT(must(a.chat(chat, greedy())).usage.cached, 0);
  const Generation of_two = must(b.chat(chat, greedy()));
  EXPECT_EQ(of_two.usage.cached, 0);
  EXPECT_NE(of_two.logits_hashes, of_one.logits_hashes);
}

TEST_F(AdapterKeys, AReceiptIsOfOneAdapter) {
  const Model model = open({{one_}});
  Session session = must(model.new_session());
  must(session.chat(std::vector<Message>{user("Hello there")}, greedy()));
  const std::string receipt = must(session.receipt("tiny"));
  const Replay same = must(replay(tiny_chat_path(), receipt));
  EXPECT_TRUE(same.same);
  EXPECT_TRUE(same.changes.empty());
  for (const std::vector<AdapterOption>& others :
       {std::vector<AdapterOption>{{two_}}, std::vector<AdapterOption>{{one_, 0.5F}}}) {
    const Replay other = must(replay(tiny_chat_path(), receipt, {.adapters = others}));
    EXPECT_FALSE(other.same);
    EXPECT_EQ(other.logits_depart, 0);
    EXPECT_THAT(other.changes, ElementsAre("the adapters, or their scales, are others"));
  }
  // The file that the receipt names holds another adapter now; then it is gone.
  fs::copy_file(two_, one_, fs::copy_options::overwrite_existing);
  EXPECT_FALSE(must(replay(tiny_chat_path(), receipt)).same);
  fs::remove(one_);
  const auto gone = replay(tiny_chat_path(), receipt);
  ASSERT_FALSE(gone);
  EXPECT_THAT(gone.error().context + gone.error().message, testing::HasSubstr("one.gguf"));
}

}  // namespace
}  // namespace llmrun
