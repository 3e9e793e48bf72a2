// Lines of the output, as OpenAI's clients read them.
#include "batch/response.h"

#include <gtest/gtest.h>

#include "batch/group.h"
#include "batch/json.h"

namespace llmrun::batch {
namespace {

const LineHead kHead = {"0123", "tiny"};

Row row_of(Endpoint endpoint) {
  Row row;
  row.line = 3;
  row.custom_id = "a \"b\"";
  row.endpoint = endpoint;
  return row;
}

TEST(BatchResponse, ChatLine) {
  Generation generation;
  generation.thinking = "hm";
  generation.tokens = {1, 2, 3};
  generation.stop_reason = StopReason::kTokenLimit;
  generation.usage.prompt = 10;
  generation.usage.thinking = 1;
  const Json line = Json::parse(
      answer_line(kHead, row_of(Endpoint::kChat), generation, "Hi\n\xF0\x9F\x98\x80", 6));
  EXPECT_EQ(line["id"], "batch_req_0123");
  EXPECT_EQ(line["custom_id"], "a \"b\"");
  EXPECT_TRUE(line["error"].is_null());
  EXPECT_EQ(line["response"]["status_code"], 200);
  EXPECT_EQ(line["response"]["request_id"], "req_0123");
  const Json& body = line["response"]["body"];
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["model"], "tiny");
  EXPECT_EQ(body["choices"].size(), 1U);
  EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(body["choices"][0]["message"]["content"], "Hi\n\xF0\x9F\x98\x80");
  EXPECT_EQ(body["choices"][0]["message"]["reasoning_content"], "hm");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["choices"][0]["stop_reason"], "limit");
  EXPECT_EQ(body["usage"]["prompt_tokens"], 10);
  EXPECT_EQ(body["usage"]["completion_tokens"], 3);
  EXPECT_EQ(body["usage"]["total_tokens"], 13);
  EXPECT_EQ(body["usage"]["prompt_tokens_details"]["cached_tokens"], 6);
  EXPECT_EQ(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 1);
}

TEST(BatchResponse, CompletionLine) {
  const Json line =
      Json::parse(answer_line(kHead, row_of(Endpoint::kCompletion), Generation(), "x", 0));
  const Json& body = line["response"]["body"];
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_EQ(body["choices"][0]["text"], "x");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
}

TEST(BatchResponse, VectorsAsNumbersAndAsBase64) {
  Embedding vector;
  vector.dimensions = 2;
  vector.values = {0.1F, -2.0F};
  vector.n_tokens = 4;
  Row row = row_of(Endpoint::kEmbedding);
  const std::string text = embedding_line(kHead, row, std::vector<Embedding>{vector, vector});
  EXPECT_NE(text.find("[0.1,-2]"), std::string::npos) << text;
  const Json body = Json::parse(text)["response"]["body"];
  EXPECT_EQ(body["object"], "list");
  EXPECT_EQ(body["data"].size(), 2U);
  EXPECT_EQ(body["data"][1]["index"], 1);
  EXPECT_EQ(body["usage"]["prompt_tokens"], 8);
  row.base64 = true;
  const Json packed = Json::parse(embedding_line(kHead, row, std::vector<Embedding>{vector}));
  EXPECT_EQ(packed["response"]["body"]["data"][0]["embedding"], "zczMPQAAAMA=");
}

TEST(BatchResponse, ErrorLine) {
  const Json line = Json::parse(
      error_line(kHead, row_of(Endpoint::kChat), {ErrorCode::kContextOverflow, "too long", ""}));
  EXPECT_TRUE(line["response"].is_null());
  EXPECT_EQ(line["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(line["error"]["message"], "line 3: too long");
  EXPECT_EQ(line["custom_id"], "a \"b\"");
}

TEST(BatchResponse, SeedsAndKeysDependOnTheirInputsAlone) {
  EXPECT_EQ(row_seed(0, "a").value(), row_seed(0, "a").value());
  EXPECT_NE(row_seed(0, "a").value(), row_seed(0, "b").value());
  EXPECT_NE(row_seed(0, "a").value(), row_seed(1, "a").value());
  EXPECT_LT(row_seed(7, "x").value(), uint64_t{1} << 53);
  EXPECT_NE(line_key("j", 1).value(), line_key("j", 2).value());
  EXPECT_NE(line_key("j", 1).value(), line_key("k", 1).value());
}

}  // namespace
}  // namespace llmrun::batch
