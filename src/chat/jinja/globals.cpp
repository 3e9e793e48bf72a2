// Functions that every template can call, and the methods of the little objects they make.
#include <string>

#include "chat/jinja/builtins.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/sorting.h"

namespace llmrun::chat::jinja {
namespace {

Result<Value> make_range(Interpreter& interpreter, const Bound& arguments) {
  int64_t bounds[3] = {0, 0, 1};
  for (size_t i = 0; i < 3; ++i) {
    if (!arguments.has(i)) continue;
    LLMRUN_ASSIGN(bounds[i], integer_argument("range", arguments[i]));
  }
  if (!arguments.has(1)) {
    bounds[1] = bounds[0];
    bounds[0] = 0;
  }
  if (bounds[2] == 0) return template_error("the step of range() cannot be zero");
  LLMRUN_ASSIGN(RangeObject * range,
                interpreter.heap().make<RangeObject>(bounds[0], bounds[1], bounds[2]));
  return Value(range);
}

template <ObjectKind flavour>
Result<Value> make_dict(Interpreter& interpreter, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(DictObject * dict, heap.dict(flavour));
  LLMRUN_TRY(fill_dict(heap, *dict, arguments.raw));
  return Value(dict);
}

Result<Value> make_cycler(Interpreter& interpreter, const Bound& arguments) {
  if (arguments.raw.positional.empty()) return template_error("cycler() needs at least one item");
  Heap& heap = interpreter.heap();
  LLMRUN_TRY(heap.book(arguments.raw.positional.size() * sizeof(Value)));
  LLMRUN_ASSIGN(CyclerObject * cycler, heap.make<CyclerObject>(arguments.raw.positional));
  return Value(cycler);
}

Result<Value> make_joiner(Interpreter& interpreter, const Bound& arguments) {
  Value separator = arguments[0];
  if (!arguments.has(0)) {
    LLMRUN_ASSIGN(separator, interpreter.heap().text(", ", true));
  }
  LLMRUN_ASSIGN(JoinerObject * joiner, interpreter.heap().make<JoinerObject>(separator));
  return Value(joiner);
}

Result<Value> raise_exception(Interpreter& interpreter, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value message, to_string(interpreter.heap(), arguments[0]));
  constexpr size_t kMaxMessage = 2000;
  return make_error(ErrorCode::kUsage, "the chat template refuses this conversation: {}",
                    message.view().substr(0, kMaxMessage));
}

Result<Value> strftime_now(Interpreter& interpreter, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value format, text_argument("strftime_now", arguments[0]));
  constexpr size_t kMaxFormat = 256;
  if (format.view().size() > kMaxFormat || format.view().find('\0') != std::string_view::npos) {
    return template_error("the format of strftime_now() is too long or holds a zero byte");
  }
  // The time has no zone and no microseconds, as Python's datetime.now() prints them.
  std::string plain;
  const std::string_view view = format.view();
  for (size_t i = 0; i < view.size(); ++i) {
    if (view[i] != '%' || i + 1 == view.size()) {
      plain += view[i];
      continue;
    }
    const char letter = view[++i];
    if (letter == 'f') {
      plain += "000000";
    } else if (letter != 'z' && letter != 'Z') {
      plain += '%';
      plain += letter;
    }
  }
  plain += ' ';  // so that an empty result can be told from a failure
  char buffer[2048];
  const size_t size = std::strftime(buffer, sizeof buffer, plain.c_str(), &interpreter.now());
  if (size == 0) return template_error("strftime_now() cannot print the format '{}'", view);
  return interpreter.heap().text(std::string_view(buffer, size - 1), true);
}

Result<Value> cycler_next(Interpreter&, const Value& self, const Bound&) {
  auto& cycler = self.as<CyclerObject>();
  const Value value = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return value;
}

Result<Value> cycler_reset(Interpreter&, const Value& self, const Bound&) {
  self.as<CyclerObject>().position = 0;
  return Value(None{});
}

Result<Value> loop_cycle(Interpreter&, const Value& self, const Bound& arguments) {
  const auto& loop = self.as<LoopObject>();
  const std::vector<Value>& choices = arguments.raw.positional;
  if (choices.empty()) return template_error("loop.cycle() needs something to choose from");
  return choices[static_cast<size_t>(loop.index0) % choices.size()];
}

Result<Value> loop_changed(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  auto& loop = self.as<LoopObject>();
  LLMRUN_ASSIGN(Value values,
                interpreter.heap().list(arguments.raw.positional, ObjectKind::kTuple));
  if (loop.changed) {
    LLMRUN_ASSIGN(const bool same, equal(interpreter.heap(), *loop.changed, values));
    if (same) return Value(false);
  }
  loop.changed = std::move(values);
  return Value(true);
}

constexpr FunctionEntry kFunctions[] = {
    {"range", "start stop? step?", make_range},
    {"dict", "*", make_dict<ObjectKind::kDict>},
    {"namespace", "*", make_dict<ObjectKind::kNamespace>},
    {"cycler", "*", make_cycler},
    {"joiner", "sep?", make_joiner},
    {"raise_exception", "message", raise_exception},
    {"strftime_now", "format", strftime_now},
};

constexpr MethodEntry kHelperMethods[] = {
    {"next", "", cycler_next},
    {"reset", "", cycler_reset},
    {"cycle", "*", loop_cycle},
    {"changed", "*", loop_changed},
};

}  // namespace

std::span<const FunctionEntry> global_functions() { return kFunctions; }
std::span<const MethodEntry> helper_methods() { return kHelperMethods; }

}  // namespace llmrun::chat::jinja
