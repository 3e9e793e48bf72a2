// The parts of a checkup. Each adds its findings: a fault for each kind of thing that is wrong, or
// one line that says what was looked at.
#pragma once

#include "api/check_tensors.h"
#include "api/model_impl.h"

namespace llmrun::checkup {

void check_tokenizer(const ModelImpl& model, Checkup& checkup);
void check_template(const ModelImpl& model, Checkup& checkup);
// Runs the model, and once more with each of the neighbouring RoPE bases.
void check_predictions(const Model& model, Checkup& checkup);

}  // namespace llmrun::checkup
