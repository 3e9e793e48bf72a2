// Parser of Go templates: text/template's grammar, with its checks of variables and functions.
#include "chat/go_template/parser.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "chat/go_template/functions.h"
#include "chat/go_template/lexer.h"
#include "chat/go_template/pipeline_parser.h"

namespace llmrun::chat::go_template {
namespace {

constexpr int kMaxNesting = 100;  // of blocks

// Why a list of nodes ended.
enum class End : uint8_t { kSource, kEnd, kElse };

class Parser {
 public:
  Parser(Template& result, TokenReader reader)
      : result_(result), reader_(std::move(reader)), pipelines_(reader_) {}

  Result<void> run() {
    LLMRUN_ASSIGN(const End end, nodes(result_.body));
    if (end == End::kSource) return {};
    return reader_.error(end == End::kEnd ? "there is nothing that {{end}} could end"
                                          : "there is nothing that {{else}} could belong to");
  }

 private:
  // Up to {{end}}, {{else, or the end of the source. Past the word `end` or `else`.
  Result<End> nodes(Nodes& list) {
    while (!reader_.at_end()) {
      const Token token = reader_.take();
      if (token.kind == Token::Kind::kText) {
        Node node;
        node.offset = token.offset;
        node.text = Text(token.text, true);
        list.push_back(std::move(node));
        continue;
      }
      if (reader_.take_word("end")) {
        LLMRUN_TRY(reader_.close());
        return End::kEnd;
      }
      if (reader_.take_word("else")) return End::kElse;
      LLMRUN_TRY(action(list, token.offset));
    }
    return End::kSource;
  }

  Result<void> action(Nodes& list, size_t offset) {
    Node node;
    node.offset = offset;
    if (reader_.take_word("define")) return define();
    if (reader_.take_word("block")) return block(list, std::move(node));
    if (reader_.take_word("template")) {
      LLMRUN_TRY(call(node));
    } else if (reader_.take_word("break") || reader_.take_word("continue")) {
      node.kind = reader_.last().text == "break" ? Node::Kind::kBreak : Node::Kind::kContinue;
      if (n_ranges_ == 0) {
        return reader_.error("{{break}} and {{continue}} belong inside of a {{range}}");
      }
      LLMRUN_TRY(reader_.close());
    } else if (reader_.take_word("if")) {
      LLMRUN_TRY(control(node, Node::Kind::kIf));
    } else if (reader_.take_word("with")) {
      LLMRUN_TRY(control(node, Node::Kind::kWith));
    } else if (reader_.take_word("range")) {
      LLMRUN_TRY(control(node, Node::Kind::kRange));
    } else {
      node.kind = Node::Kind::kAction;
      LLMRUN_ASSIGN(node.pipeline, pipelines_.pipeline(false));
      LLMRUN_TRY(reader_.close());
    }
    list.push_back(std::move(node));
    return {};
  }

  // {{if}}, {{with}} and {{range}}, up to their {{end}}.
  Result<void> control(Node& node, Node::Kind kind) {
    if (++nesting_ > kMaxNesting) {
      return reader_.error(fmt::format("blocks are nested more than {} deep", kMaxNesting));
    }
    const size_t mark = pipelines_.n_variables();
    node.kind = kind;
    LLMRUN_ASSIGN(node.pipeline, pipelines_.pipeline(kind == Node::Kind::kRange));
    LLMRUN_TRY(reader_.close());
    if (kind == Node::Kind::kRange) ++n_ranges_;
    LLMRUN_ASSIGN(const End end, nodes(node.body));
    if (kind == Node::Kind::kRange) --n_ranges_;
    if (end == End::kSource) return unended(node.offset);
    if (end == End::kElse) LLMRUN_TRY(otherwise(node));
    pipelines_.forget_variables(mark);
    --nesting_;
    return {};
  }

  // Behind `else`: `else if` and `else with` are a block inside that shares its {{end}}.
  Result<void> otherwise(Node& node) {
    const bool has_if = node.kind == Node::Kind::kIf && reader_.take_word("if");
    const bool has_with = !has_if && node.kind == Node::Kind::kWith && reader_.take_word("with");
    if (has_if || has_with) {
      Node inner;
      inner.offset = reader_.last().offset;
      LLMRUN_TRY(control(inner, node.kind));
      node.otherwise.push_back(std::move(inner));
      return {};
    }
    LLMRUN_TRY(reader_.close());
    LLMRUN_ASSIGN(const End end, nodes(node.otherwise));
    if (end == End::kSource) return unended(node.offset);
    if (end == End::kElse) return reader_.error("a block has one {{else}}");
    return {};
  }

  tl::unexpected<Error> unended(size_t offset) {
    return error_at(result_.source, offset, "this block has no {{end}}");
  }

  // {{template "name" pipeline}}
  Result<void> call(Node& node) {
    node.kind = Node::Kind::kTemplate;
    LLMRUN_ASSIGN(node.name, reader_.text());
    if (!reader_.next_is(Token::Kind::kClose)) {
      LLMRUN_ASSIGN(node.pipeline, pipelines_.pipeline(false));
    }
    return reader_.close();
  }

  // {{define "name"}} … {{end}}
  Result<void> define() {
    LLMRUN_ASSIGN(const std::string name, reader_.text());
    LLMRUN_TRY(reader_.close());
    return body_of(name, reader_.last().offset);
  }

  // {{block "name" pipeline}} … {{end}}: a definition, and its use.
  Result<void> block(Nodes& list, Node node) {
    node.kind = Node::Kind::kTemplate;
    LLMRUN_ASSIGN(node.name, reader_.text());
    LLMRUN_ASSIGN(node.pipeline, pipelines_.pipeline(false));
    LLMRUN_TRY(reader_.close());
    LLMRUN_TRY(body_of(node.name, node.offset));
    list.push_back(std::move(node));
    return {};
  }

  // A definition sees no variables but $.
  Result<void> body_of(const std::string& name, size_t offset) {
    if (++nesting_ > kMaxNesting) {
      return reader_.error(fmt::format("blocks are nested more than {} deep", kMaxNesting));
    }
    const int outer_ranges = std::exchange(n_ranges_, 0);
    auto outer_variables = pipelines_.start_definition();
    Nodes body;
    LLMRUN_ASSIGN(const End end, nodes(body));
    if (end == End::kSource) return unended(offset);
    if (end == End::kElse) return reader_.error("there is nothing that {{else}} could belong to");
    pipelines_.end_definition(std::move(outer_variables));
    n_ranges_ = outer_ranges;
    --nesting_;
    // As in Go, a definition of nothing but blanks does not replace another one.
    const bool is_empty = std::all_of(body.begin(), body.end(), [](const Node& node) {
      return node.kind == Node::Kind::kText &&
             node.text.view().find_first_not_of(" \t\r\n") == std::string_view::npos;
    });
    const auto found = result_.defined.find(name);
    if (found == result_.defined.end()) {
      result_.defined.emplace(name, std::move(body));
    } else if (!is_empty) {
      found->second = std::move(body);
    }
    return {};
  }

  Template& result_;
  TokenReader reader_;
  PipelineParser pipelines_;
  int nesting_ = 0;
  int n_ranges_ = 0;
};

}  // namespace

Result<std::shared_ptr<Template>> parse_template(std::string_view source) {
  auto result = std::make_shared<Template>();
  result->source = std::string(source);
  LLMRUN_ASSIGN(auto tokens, tokenize(result->source));
  LLMRUN_TRY(Parser(*result, TokenReader(result->source, std::move(tokens))).run());
  return result;
}

}  // namespace llmrun::chat::go_template
