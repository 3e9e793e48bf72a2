// From rows to requests: templates, tokens, options, limits.
#include "batch/group.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "llmrun/embedder.h"

namespace llmrun::batch {
namespace {

// More of the prompt's end than any tag of thinking is long.
constexpr size_t kTailBytes = 256;

class Preparer {
 public:
  Preparer(const Options& options, std::span<Row> rows, Group& group)
      : options_(options), rows_(rows), group_(group) {}

  Result<void> open() {
    LLMRUN_ASSIGN(info_, inspect_model(group_.found.path, group_.found.load.rope));
    if (!info_.runnable) {
      return with_context({ErrorCode::kUnsupported, info_.why_not, {}}, group_.found.path.string());
    }
    LLMRUN_ASSIGN(Model vocabulary, Model::open_vocabulary(group_.found.path, group_.found.load));
    vocabulary_.emplace(std::move(vocabulary));
    defaults_.sampling = vocabulary_->recommended_sampling();
    if (group_.found.apply_defaults) group_.found.apply_defaults(defaults_);
    if (options_.apply_sampling) LLMRUN_TRY(options_.apply_sampling(defaults_.sampling));
    if (options_.max_tokens >= 0) defaults_.max_tokens = options_.max_tokens;
    defaults_.loop_guard = options_.loop_guard;
    limit_ = options_.context.context_tokens;
    if (limit_ == 0) {
      limit_ = info_.context_length > 0 ? std::min(info_.context_length, kDefaultContextTokens)
                                        : kDefaultContextTokens;
    }
    return {};
  }

  // Any error is the row's.
  Result<void> add(size_t index) {
    Row& row = rows_[index];
    if (row.endpoint == Endpoint::kEmbedding) return add_embedding(index);
    if (!info_.writes_text) {
      return make_error(ErrorCode::kUnsupported,
                        "the model {} writes no text; it is for /v1/embeddings", group_.model);
    }
    BatchRequest request;
    request.id = index;
    LLMRUN_TRY(render(row, request));
    LLMRUN_TRY(set_options(row, request.options));
    LLMRUN_TRY(check_request(*vocabulary_, request, limit_));
    const auto n_prompt = static_cast<int64_t>(request.prompt.size());
    group_.needed_tokens.push_back(std::min(limit_, n_prompt + most_answer_tokens(request)));
    group_.context_tokens = std::max(group_.context_tokens, group_.needed_tokens.back());
    group_.requests.push_back(std::move(request));
    row.messages.clear();  // the tokens are all that is needed from here on
    row.prompt.clear();
    return {};
  }

  void finish() {
    std::vector<PlanItem> items;
    for (const BatchRequest& request : group_.requests) {
      items.push_back({request.prompt, most_answer_tokens(request)});
    }
    group_.plan = make_plan(items);
    group_.shared_tokens.resize(items.size());
    for (const PlacedRow& placed : group_.plan.order) {
      group_.shared_tokens[placed.row] = placed.shared_tokens;
    }
  }

 private:
  // The last token of an answer needs no place in the context.
  [[nodiscard]] int64_t most_answer_tokens(const BatchRequest& request) const {
    const int64_t room = limit_ - static_cast<int64_t>(request.prompt.size()) + 1;
    const int64_t most = request.options.max_tokens;
    return most < 0 ? room : std::min(most, room);
  }

  Result<void> render(Row& row, BatchRequest& request) {
    if (row.endpoint == Endpoint::kChat) {
      LLMRUN_ASSIGN(RenderedChat chat, vocabulary_->render_chat(messages_of(row), row.render));
      request.prompt = std::move(chat.tokens);
      request.text_before =
          chat.text.substr(chat.text.size() - std::min(chat.text.size(), kTailBytes));
    } else if (!row.token_ids.empty()) {
      request.prompt = std::move(row.token_ids);
    } else {
      LLMRUN_ASSIGN(request.prompt, vocabulary_->tokenize(row.prompt));
    }
    return {};
  }

  Result<void> set_options(const Row& row, GenerateOptions& options) const {
    options = defaults_;
    row.sampling.apply(options.sampling);
    if (!row.sampling.seed) {
      LLMRUN_ASSIGN(options.sampling.seed,
                    row_seed(defaults_.sampling.seed.value_or(0), row.custom_id));
    }
    if (row.max_tokens) options.max_tokens = *row.max_tokens;
    if (!row.stop.empty()) options.stop = row.stop;
    options.ignore_end = row.ignore_end;
    return {};
  }

  // What travels with the model goes before the row's own messages.
  [[nodiscard]] std::vector<Message> messages_of(const Row& row) const {
    const bool has_system = row.messages.front().role == "system";
    std::vector<Message> messages;
    for (const Message& message : group_.found.opening) {
      if (!has_system || message.role != "system") messages.push_back(message);
    }
    const auto at = has_system ? messages.begin() : messages.end();
    messages.insert(at, row.messages.begin(), row.messages.begin() + (has_system ? 1 : 0));
    messages.insert(messages.end(), row.messages.begin() + (has_system ? 1 : 0),
                    row.messages.end());
    return messages;
  }

  Result<void> add_embedding(size_t index) {
    const Row& row = rows_[index];
    if (info_.pooling.empty() || info_.pooling == to_string(Pooling::kRank)) {
      return make_error(ErrorCode::kUnsupported, "the model {} gives no vectors of texts",
                        group_.model);
    }
    if (row.embed.dimensions > info_.embedding_length) {
      return make_error(ErrorCode::kUsage, "'dimensions' is {}, but the vectors have only {}",
                        row.embed.dimensions, info_.embedding_length);
    }
    int64_t n_tokens = 0;
    for (const std::string& text : row.texts) {
      LLMRUN_ASSIGN(const auto tokens, vocabulary_->tokenize(text));
      const auto n = static_cast<int64_t>(tokens.size());
      if (n == 0) return make_error(ErrorCode::kUsage, "'input' holds an empty text");
      if (n > limit_) {
        return make_error(ErrorCode::kContextOverflow,
                          "a text of 'input' has {} tokens, but at most {} can be read at once", n,
                          limit_);
      }
      n_tokens += n;
      group_.longest_text = std::max(group_.longest_text, n);
    }
    group_.embedding_tokens += n_tokens;
    group_.embeddings.push_back(index);
    return {};
  }

  const Options& options_;
  std::span<Row> rows_;
  Group& group_;
  ModelInfo info_;
  std::optional<Model> vocabulary_;
  GenerateOptions defaults_;
  int64_t limit_ = 0;
};

// Finds the group of a row's model; a new one when it is the first.
Result<Group*> group_of(const Options& options, const Row& row, std::vector<Group>& groups,
                        std::map<std::string, size_t>& by_name) {
  const std::string& name = options.model.empty() ? row.model : options.model;
  if (name.empty()) {
    return make_error(ErrorCode::kUsage,
                      "no model is named: give --model NAME, or 'model' in the body");
  }
  if (const auto known = by_name.find(name); known != by_name.end()) return &groups[known->second];
  LLMRUN_ASSIGN(FoundModel found, options.find_model(name));
  size_t index = 0;
  while (index < groups.size() && (groups[index].found.path != found.path ||
                                   groups[index].found.identity != found.identity)) {
    ++index;
  }
  if (index == groups.size()) {
    groups.emplace_back().model = name;
    groups.back().found = std::move(found);
  }
  by_name[name] = index;
  return &groups[index];
}

}  // namespace

Result<uint64_t> row_seed(uint64_t batch_seed, const std::string& custom_id) {
  const std::string text = fmt::format("{}\n{}", batch_seed, custom_id);
  LLMRUN_ASSIGN(const std::string digest, sha256_hex(std::as_bytes(std::span(text))));
  return std::stoull(digest.substr(0, 13), nullptr, 16);  // below 2^53, as JSON can carry it
}

Result<std::vector<Group>> make_groups(const Options& options, std::span<Row> rows) {
  std::vector<Group> groups;
  std::vector<std::vector<size_t>> members;
  std::map<std::string, size_t> by_name;
  std::map<std::string, Error> unknown;  // models that are not there: looked for once
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].fault) continue;
    const std::string& name = options.model.empty() ? rows[i].model : options.model;
    if (const auto known = unknown.find(name); known != unknown.end()) {
      rows[i].fault = known->second;
      continue;
    }
    const auto group = group_of(options, rows[i], groups, by_name);
    if (!group) {
      if (!options.model.empty()) return tl::unexpected<Error>(group.error());
      rows[i].fault = unknown.emplace(name, group.error()).first->second;
      continue;
    }
    members.resize(groups.size());
    members[static_cast<size_t>(*group - groups.data())].push_back(i);
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    Preparer preparer(options, rows, groups[g]);
    LLMRUN_TRY(preparer.open());
    for (const size_t i : members[g]) {
      if (const auto added = preparer.add(i); !added) rows[i].fault = added.error();
    }
    preparer.finish();
  }
  return groups;
}

}  // namespace llmrun::batch
