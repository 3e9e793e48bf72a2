// The chat template: it renders a conversation, keeps what was said, and the marks that it writes
// are tokens of the vocabulary.
#include <algorithm>
#include <array>

#include "api/checkup.h"
#include "api/open_file.h"
#include "base/error.h"

namespace llmrun::checkup {
namespace {

constexpr std::string_view kQuestion = "Where is the nearest lighthouse?";
constexpr std::string_view kAnswer = "Two miles north of here.";
constexpr std::string_view kFollowUp = "Is it open today?";

Message message(std::string role, std::string_view content) {
  Message result;
  result.role = std::move(role);
  result.content = content;
  return result;
}

// "<|im_start|>" and the like that the template wrote but the vocabulary does not have as one
// token.
std::string unknown_mark(const tokenizer::Tokenizer& tokenizer, std::string_view text) {
  for (size_t begin = text.find("<|"); begin != std::string_view::npos;
       begin = text.find("<|", begin + 2)) {
    const size_t end = text.find("|>", begin);
    if (end == std::string_view::npos || end - begin > 64) continue;
    const std::string_view mark = text.substr(begin, end + 2 - begin);
    if (mark.find_first_of(" \n\t") != std::string_view::npos) continue;
    if (!tokenizer.find(mark)) return std::string(mark);
  }
  return {};
}

}  // namespace

void check_template(const ModelImpl& model, Checkup& checkup) {
  if (model.tokenizer == nullptr) return;
  const auto choice = choose_template(model.file, {}, false);
  if (!choice) return good(checkup, "template", "none");
  const std::array<Message, 3> messages = {
      message("user", kQuestion), message("assistant", kAnswer), message("user", kFollowUp)};
  const auto rendered = render_chat(model, messages, {});
  if (!rendered) return fault(checkup, "template", rendered.error().message);
  for (const std::string_view said : {kQuestion, kAnswer, kFollowUp}) {
    if (rendered->text.find(said) == std::string::npos) {
      return fault(checkup, "template", fmt::format("it loses \"{}\"", said));
    }
  }
  const std::string mark = unknown_mark(*model.tokenizer, rendered->text);
  if (!mark.empty()) {
    return fault(checkup, "template",
                 fmt::format("it writes {}, which is no token of this vocabulary", mark));
  }
  const auto n_special = std::count_if(rendered->tokens.begin(), rendered->tokens.end(),
                                       [&](TokenId id) { return model.tokenizer->is_control(id); });
  good(checkup, "template",
       fmt::format("{}: a conversation of 3 messages is {} tokens, {} of them special",
                   choice->origin, rendered->tokens.size(), n_special));
}

}  // namespace llmrun::checkup
