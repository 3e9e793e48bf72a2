#!/usr/bin/env python3
"""Writes tests/data/tokenizers/unigram.gguf: a small Unigram vocabulary that SentencePiece trained on
the sentences below, with a normaliser of a part of NFKC; and beside it texts (.inp) and the ids that
SentencePiece gives them (.out), in the form of the other vocabularies' files.

usage: make_unigram.py [FOLDER]      (needs gguf and sentencepiece)"""
import io
import os
import random
import sys
import unicodedata

import sentencepiece
from gguf import GGUFWriter

SEPARATOR = "\n__ggml_vocab_test__\n"
SENTENCES = """The quick brown fox jumps over the lazy dog, and the dog does not mind at all.
How much wood would a woodchuck chuck if a woodchuck could chuck wood?
Models that read a whole text at once give every token a view of every other token.
Der schnelle braune Fuchs springt über den faulen Hund; niemand hat etwas dagegen.
Größere Häuser brauchen größere Türen, und schöne Türen brauchen Schlösser.
Le vif renard brun saute par-dessus le chien paresseux, et cela lui est égal.
El veloz zorro marrón salta sobre el perro perezoso mientras mañana llueve.
Быстрая коричневая лиса прыгает через ленивую собаку и бежит дальше.
Γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί.
速い茶色の狐がのろまな犬を飛び越える。今日はいい天気ですね。
敏捷的棕色狐狸跳过了懒狗。今天天气很好，我们去公园吧。
빠른 갈색 여우가 게으른 개를 뛰어넘는다. 오늘은 날씨가 좋다.
الثعلب البني السريع يقفز فوق الكلب الكسول.
Numbers: 0 1 2 3 10 42 100 1984 2024 3.14159 1,000,000 and 50 %.
for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // code has its own habits
""".splitlines()
TEXTS = SENTENCES + [
    "", " ", "   ", "a", " a", "a ", "  two  spaces  inside  ", "tab\tand\nnewline\r\n", "\u00a0no-break\u00a0",
    "ﬁne ﬂower ｆｕｌｌ　ｗｉｄｔｈ ½ ² ③ ﷺ", "cafe\u0301 naïve A\u030angstro\u0308m", "zero\u200bwidth\ufeff",
    "▁the mark itself▁▁", "unknown: 𓀀𓀁𓀂 🦊🦊 x 🦊", "🦊", "<s>special</s> <pad> <unk>", "ḀẀ ﾊﾝｶｸ ㍿ ℃ Ⅳ",
    "\u1112\u1161\u11ab\u1100\u1173\u11af", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "…—“”‘’«»", "\x00\x01\x7f",
    "\u202eright to left", "THE QUICK BROWN FOX", "thequickbrownfoxjumpsoverthelazydog"]


def rules():
    """Lines "what it is<TAB>what it becomes", in hex: NFKC of some blocks, and white space."""
    blocks = [(0xA0, 0x17F), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x2070, 0x218F), (0x2460, 0x249B),
              (0x3000, 0x33FF), (0xAC00, 0xAC40), (0xFB00, 0xFB06), (0xFDF0, 0xFDFC), (0xFF01, 0xFFEE)]
    out = {}
    for first, last in blocks:
        for code in range(first, last + 1):
            composed = unicodedata.normalize("NFKC", chr(code))
            for source in {chr(code), unicodedata.normalize("NFD", chr(code))}:
                if source != composed:
                    out[source] = composed
    for space in "\t\n\r\u00a0\u3000":
        out[space] = " "
    for gone in "\u200b\ufeff\x01\x7f":
        out[gone] = ""
    return out


def train(folder):
    tsv = os.path.join(folder, "rules.tsv")
    with open(tsv, "w", encoding="utf-8") as file:
        for source, target in sorted(rules().items()):
            file.write(" ".join(f"{ord(c):X}" for c in source) + "\t" +
                       " ".join(f"{ord(c):X}" for c in target) + "\n")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4), model_writer=model, model_type="unigram",
        vocab_size=560, hard_vocab_limit=False, character_coverage=1.0, bos_id=0, pad_id=1, eos_id=2,
        unk_id=3, normalization_rule_tsv=tsv, user_defined_symbols=[], num_threads=1,
        minloglevel=2)
    os.remove(tsv)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()), model.getvalue()


def save(path, processor, proto):
    from sentencepiece import sentencepiece_model_pb2
    parsed = sentencepiece_model_pb2.ModelProto.FromString(proto)
    writer = GGUFWriter(path, "bert")
    writer.add_tokenizer_model("t5")
    writer.add_token_list([p.piece for p in parsed.pieces])
    writer.add_token_scores([p.score for p in parsed.pieces])
    writer.add_token_types([int(p.type) for p in parsed.pieces])
    writer.add_array("tokenizer.ggml.precompiled_charsmap",
                     parsed.normalizer_spec.precompiled_charsmap)
    writer.add_add_space_prefix(parsed.normalizer_spec.add_dummy_prefix)
    writer.add_remove_extra_whitespaces(parsed.normalizer_spec.remove_extra_whitespaces)
    writer.add_bos_token_id(0)
    writer.add_pad_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def more_texts(n):
    """Random mixtures of parts of the sentences and of odd characters."""
    rng = random.Random(7)
    odd = "  \u3000\u0301ﬁ①Å½\u200b한🦊▁\t"
    texts = []
    for _ in range(n):
        text = ""
        for _ in range(rng.randrange(1, 8)):
            sentence = rng.choice(SENTENCES)
            first = rng.randrange(len(sentence))
            text += sentence[first:first + rng.randrange(1, 20)] + rng.choice(odd) * rng.randrange(3)
        texts.append(text)
    return texts


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../data/tokenizers")
    processor, proto = train(folder)
    path = os.path.join(folder, "unigram.gguf")
    save(path, processor, proto)
    # "\x00" ends texts of the C interface, and "\r" would be lost on the way through a file.
    texts = [t for t in TEXTS + more_texts(150) if "\x00" not in t]
    with open(path + ".inp", "w", encoding="utf-8", newline="") as file:
        file.write(SEPARATOR.join(texts))
    with open(path + ".out", "w", encoding="utf-8") as file:
        for text in texts:
            file.write(" " + " ".join(str(i) for i in processor.encode(text)) + "\n")
    print(f"{processor.vocab_size()} pieces, {len(texts)} texts, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
