#!/bin/sh
# A model that tools/synthetic_model writes is one that llmrun runs: synthetic_model_test.sh
# SYNTHETIC_MODEL LLMRUN
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" "$folder/moe.gguf" tiny-moe Q4_K_M
"$1" "$folder/dense.gguf" tiny Q8_0
for model in moe dense; do
  "$2" bench "$folder/$model.gguf" -p 8 -n 4 -s 1,3 -r 1 --json | grep -q '"tg4x3"'
  "$2" show "$folder/$model.gguf" > "$folder/$model.txt"
done
grep -q Q4_K "$folder/moe.txt"
if "$1" "$folder/none.gguf" no-such-shape Q8_0 2> /dev/null; then exit 1; fi
if "$1" "$folder/none.gguf" tiny no-such-mix 2> /dev/null; then exit 1; fi
test ! -e "$folder/none.gguf"
