// Opens a model and streams an answer: all that a program embedding llmrun needs.
#include <llmrun/llmrun.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL.gguf PROMPT\n", argv[0]);
    return 2;
  }
  const auto model = llmrun::Model::open(argv[1]);
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().message.c_str());
    return 1;
  }
  auto session = model->new_session({.context_tokens = 256});
  if (!session) {
    std::fprintf(stderr, "%s\n", session.error().message.c_str());
    return 1;
  }
  llmrun::GenerateOptions options;
  options.sampling = model->recommended_sampling();
  options.sampling.seed = 1;  // the same answer every time; leave it out for a new one
  options.max_tokens = 32;
  llmrun::Message message;
  message.role = "user";
  message.content = argv[2];
  const auto answer = session->chat({&message, 1}, options, [](const llmrun::StreamEvent& event) {
    std::fwrite(event.text.data(), 1, event.text.size(), stdout);
    return std::fflush(stdout) == 0;
  });
  if (!answer) std::fprintf(stderr, "%s\n", answer.error().message.c_str());
  return answer ? 0 : 1;
}
