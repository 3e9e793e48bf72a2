#!/usr/bin/env python3
"""Writes tests/data/tokenizers/splits.json: texts and what the regular expressions of published
tokenizers make of them, computed by the package tokenizers.

usage: make_splits.py [FILE]      (needs tokenizers)"""
import json
import os
import random
import sys

from tokenizers import Regex
from tokenizers.pre_tokenizers import Sequence, Split

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SPACE = r"\s*[\r\n]+|\s+(?!\S)|\s+"


def cl100k(numbers, space=SPACE):
    return (CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + numbers + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" +
            space)


def cased(numbers, contraction):
    return (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{contraction}|"
            rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{contraction}|" + numbers +
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACE)


HALVED = (r"\s*[\r\n]+|" + "".join(rf"\s{{{n}}}(?!\S)|" for n in (512, 256, 128, 64, 32, 16, 8, 4)) +
          r"\s{1,2}(?!\S)|\s{1}")
SPLITTERS = {
    "gpt-2": [GPT2],
    "starcoder": [r"\p{N}", GPT2],
    "llama-bpe": [cl100k(r"\p{N}{1,3}")],
    "qwen2": [cl100k(r"\p{N}")],
    "qwen35": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" +
               SPACE],
    "seed-coder": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|" + SPACE],
    "gpt-4o": [cased(r"\p{N}{1,3}", f"{CONTRACTION}?")],
    "tekken": [cased(r"\p{N}", "")],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                    r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
                    + SPACE],
    "minicpm5": [r"\p{N}{1,3}", cl100k(r"\p{N}+")],
    "laguna": [r"[^\n]+|[\n]+", cl100k(r"\p{N}")],
    "jais-2": [cl100k(r"\p{N}{1,3}", HALVED)],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", cased(r"\p{N}{1,3}", f"{CONTRACTION}?")],
    "exaone-moe": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|"
                   r" ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
}
TEXTS = [
    "Don't  stop, it's 2024!\n\n", "I'LL pay $12345.\n\n  ok", "HTMLParser isn't fooBar ABC 1234/\n",
    "one two  three, four", "x = 42; y=1234567 z1234 12ab 1234567ab", " \n \n  x", "a" + " " * 700 + "b",
    "\t\t\tindent" + " " * 13, "e\u0301t\u00e9 na\u0301 \u0301x", "中文AB字 ひらがな 한국어 단어", "١٢٣٤٥٦٧ ४५६७",
    "½ ² ³ Ⅳ ①②", "f(x)=1234_567 1_000_000", "!\n \n?\r\n\r\n end", "  ", "\n", "'s 't'LL'Ve", "🦊🦊 fox's",
]


def more_texts(n):
    rng = random.Random(11)
    parts = [" ", "  ", "    ", "\n", "\r\n", "a", "B", "word", "'s", "'LL", "1", "234", "5678", "!", "(", "/", "_",
             "\u0301", "中", "é", "🦊", "\u00a0", "٣", "ǅ", "ʰ", "\t"]
    return ["".join(rng.choice(parts) for _ in range(rng.randrange(2, 24))) for _ in range(n)]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../data/tokenizers/splits.json")
    texts = TEXTS + more_texts(60)
    out = {"texts": texts}
    for name, expressions in SPLITTERS.items():
        splitter = Sequence([Split(Regex(e), "isolated") for e in expressions])
        # The lengths of the words in characters say it all.
        out[name] = [[end - begin for _, (begin, end) in splitter.pre_tokenize_str(text)]
                     for text in texts]
    with open(path, "w") as file:
        rows = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}"
                for key, value in out.items()]
        file.write("{" + ",\n".join(rows) + "}\n")


if __name__ == "__main__":
    main()
