#!/usr/bin/env python3
"""Writes tests/data/encoders/*.gguf with tiny random encoders and, beside each, NAME.npy with the
hidden states of the 24 ids of altered/forward.py ([24, 32]) and NAME.pooled.npy with what the model
makes of them (a vector, or the score of a reranker), computed in NumPy in double precision from the
descriptions of the architectures.

usage: make_encoders.py [FOLDER]      (needs numpy and gguf)"""
import math
import os
import sys

import numpy as np
from altered.forward import (D, IDS, RMS, T, VOCAB, Maker, angles, dense, layer_norm, rms, rotate,
                             silu, softmax)
from altered.forward import gelu as gelu_tanh

HEADS, DIM, N_FF = 4, 8, 48
LAYER = {"attention.layer_norm_epsilon": 1e-5, "attention.head_count_kv": HEADS,
         "attention.causal": False}
SECOND_TEXT = 10  # where the second text of a pair begins
NONE, MEAN, CLS, LAST, RANK = range(5)


class WithWords(Maker):
    """A model with a WordPiece vocabulary: letters, digits, marks and a few words."""

    def add_more(self, writer):
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        words += ["\u2581" + c for c in letters + ".,?!"] + list(letters)
        words += ["\u2581" + w for w in
                  "the cat dog sat on mat is a of and to in red green blue what where who".split()
                  if len(w) > 1]
        words += [f"[unused{i}]" for i in range(VOCAB - len(words))]
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(words)
        writer.add_token_types([3 if w.startswith("[") else 1 for w in words])
        writer.add_pad_token_id(0)
        writer.add_unk_token_id(1)
        writer.add_bos_token_id(2)
        writer.add_sep_token_id(3)
        writer.add_mask_token_id(4)


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def norm(m, name, x, bias=True):
    b = m.w(name + ".bias", x.shape[-1], std=0.2) if bias else 0
    return layer_norm(x, m.norm_w(name + ".weight", x.shape[-1]), b)


def linear(m, name, x, n_out, bias=False):
    y = x @ m.w(name + ".weight", n_out, x.shape[-1]).T
    return y + m.w(name + ".bias", n_out, std=0.3) if bias else y


def attention(m, i, x, turn=lambda part, v: v, bias=False, fused=False, window=0, slopes=None,
              qk_norm=False):
    """Every token sees every other; window: those at most window // 2 away."""
    b = f"blk.{i}.attn_"
    if fused:
        q, k, v = np.split(linear(m, b + "qkv", x, 3 * D, bias), 3, 1)
    else:
        q, k, v = (linear(m, b + part, x, D, bias) for part in "qkv")
    if qk_norm:
        q, k = norm(m, b + "q_norm", q), norm(m, b + "k_norm", k)
    q, k, v = (part.reshape(T, HEADS, DIM) for part in (q, k, v))
    q, k = turn("q", q), turn("k", k)
    apart = np.abs(np.arange(T)[:, None] - np.arange(T)[None])
    out = np.zeros((T, HEADS, DIM))
    for h in range(HEADS):
        score = q[:, h] @ k[:, h].T / math.sqrt(DIM)
        if slopes is not None:
            score = score - slopes[h] * apart
        if window:
            score = np.where(apart > window // 2, -np.inf, score)
        out[:, h] = softmax(score) @ v[:, h]
    return linear(m, b + "output", out.reshape(T, -1), D, bias)


def post_norm(m, i, x, mixer, ffn):
    b = f"blk.{i}."
    x = norm(m, b + "attn_output_norm", x + mixer(i, x))
    return norm(m, b + "layer_output_norm", x + ffn(i, x))


def plain_ffn(m, i, x):
    b = f"blk.{i}.ffn_"
    return linear(m, b + "down", gelu(linear(m, b + "up", x, N_FF, True)), D, True)


def embed(m, types=True, second_text=T, bias=True):
    x = m.w("token_embd.weight", VOCAB, D, std=1.0)[IDS]
    if types:
        x = x + m.w("token_types.weight", 2, D, std=0.5)[(np.arange(T) >= second_text) * 1]
    return x


def bert_hidden(m, second_text=T):
    x = embed(m, second_text=second_text) + m.w("position_embd.weight", 64, D, std=0.5)[:T]
    x = norm(m, "token_embd_norm", x)
    for i in range(2):
        x = post_norm(m, i, x, lambda j, v: attention(m, j, v, bias=True),
                      lambda j, v: plain_ffn(m, j, v))
    return x


# ---- the models: maker, hidden states, pooled ---------------------------------------------------

def bert():
    m = WithWords("bert", 101, LAYER | {"pooling_type": MEAN})
    x = bert_hidden(m)
    return m, x, x.mean(0)


def bert_reranker():
    """Dense layer, tanh, two texts with types of their own; one label."""
    m = WithWords("bert", 102, LAYER | {"pooling_type": RANK})
    x = bert_hidden(m, SECOND_TEXT)
    y = np.tanh(linear(m, "cls", x[0], D, True))
    return m, x, linear(m, "cls.output", y, 1, True)


def nomic_bert():
    m = Maker("nomic-bert", 103, LAYER | {"pooling_type": MEAN, "rope.freq_base": 1000.0})
    x = norm(m, "token_embd_norm", embed(m))
    a = angles(DIM, 1000.0)
    for i in range(2):
        x = post_norm(m, i, x, lambda j, v: attention(m, j, v, lambda _, u: rotate(u, a, True),
                                                      fused=True),
                      lambda j, v: dense(m, j, v, silu))
    return m, x, x.mean(0)


def nomic_bert_moe():
    """Experts in the second of every two layers: 2 of 4, weights as the softmax gives them."""
    m = Maker("nomic-bert-moe", 104, LAYER | {
        "pooling_type": MEAN, "moe_every_n_layers": 2, "expert_count": 4, "expert_used_count": 2,
        "block_count": 3})
    x = norm(m, "token_embd_norm", embed(m))
    a = angles(DIM)

    def experts(i, v):
        b = f"blk.{i}."
        share = softmax(v @ m.w(b + "ffn_gate_inp.weight", 4, D, std=4 / math.sqrt(D)).T)
        up = m.w(b + "ffn_up_exps.weight", 4, N_FF, D)
        down = m.w(b + "ffn_down_exps.weight", 4, D, N_FF)
        y = np.zeros_like(v)
        for t in range(T):
            for e in np.argsort(-share[t], kind="stable")[:2]:
                y[t] += share[t, e] * (down[e] @ gelu(up[e] @ v[t]))
        return y

    for i in range(3):
        x = post_norm(m, i, x, lambda j, v: attention(m, j, v, lambda _, u: rotate(u, a, True),
                                                      bias=True, fused=True),
                      experts if i % 2 else lambda j, v: plain_ffn(m, j, v))
    return m, x, x.mean(0)


def jina_bert_v2():
    """Distances as biases, gate and up in one tensor, queries and keys normalised."""
    m = Maker("jina-bert-v2", 105, LAYER | {"pooling_type": MEAN})
    x = norm(m, "token_embd_norm", embed(m))
    slopes = [2.0 ** (-8.0 * (h + 1) / HEADS) for h in range(HEADS)]

    def ffn(i, v):
        gate, up = np.split(linear(m, f"blk.{i}.ffn_up", v, 2 * N_FF), 2, 1)
        return linear(m, f"blk.{i}.ffn_down", gelu(gate) * up, D, True)

    for i in range(2):
        x = post_norm(m, i, x, lambda j, v: attention(m, j, v, bias=True, slopes=slopes,
                                                      qk_norm=True), ffn)
    return m, x, x.mean(0)


def modern_bert():
    """Windows of 8 but in every third layer; the first layer has no attention norm."""
    m = Maker("modern-bert", 106, LAYER | {
        "pooling_type": CLS, "block_count": 4, "attention.sliding_window": 8,
        "rope.freq_base": 160000.0, "rope.freq_base_swa": 500.0})
    x = norm(m, "token_embd_norm", embed(m, types=False), bias=False)
    full, near = angles(DIM, 160000.0), angles(DIM, 500.0)
    for i in range(4):
        a, window = (near, 8) if i % 3 else (full, 0)
        y = norm(m, f"blk.{i}.attn_norm", x, bias=False) if i else x
        x = x + attention(m, i, y, lambda _, u: rotate(u, a, True), fused=True, window=window)
        y = norm(m, f"blk.{i}.ffn_norm", x, bias=False)
        gate, up = np.split(linear(m, f"blk.{i}.ffn_up", y, 2 * N_FF), 2, 1)
        x = x + linear(m, f"blk.{i}.ffn_down", gelu(gate) * up, D)
    x = norm(m, "output_norm", x, bias=False)
    return m, x, x[0]


def gemma_embedding():
    """A window of 8 in the first of two layers; two dense layers after the mean."""
    m = Maker("gemma-embedding", 107, RMS | {
        "attention.head_count_kv": HEADS, "pooling_type": MEAN, "attention.sliding_window": 8,
        "attention.sliding_window_pattern": 2, "rope.freq_base": 1e6})
    x = m.w("token_embd.weight", VOCAB, D, std=1.0)[IDS] * math.sqrt(D)
    full, near = angles(DIM, 1e6), angles(DIM)

    def scaled(name, v):
        return rms(v, m.norm_w(name + ".weight", v.shape[-1]))

    for i in range(2):
        b = f"blk.{i}."
        a, window = (full, 0) if i == 1 else (near, 8)
        y = attention(m, i, scaled(b + "attn_norm", x),
                      lambda part, u: rotate(scaled(b + f"attn_{part}_norm", u), a, True),
                      window=window)
        x = x + scaled(b + "post_attention_norm", y)
        y = dense(m, i, scaled(b + "ffn_norm", x), gelu_tanh)
        x = x + scaled(b + "post_ffw_norm", y)
    x = scaled("output_norm", x)
    return m, x, linear(m, "dense_3", linear(m, "dense_2", x.mean(0), 48), 40)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "../data/encoders")
    os.makedirs(folder, exist_ok=True)
    for make in (bert, bert_reranker, nomic_bert, nomic_bert_moe, jina_bert_v2, modern_bert,
                 gemma_embedding):
        m, hidden, pooled = make()
        stem = os.path.join(folder, make.__name__.replace("_", "-"))
        m.save(stem, hidden)
        np.save(stem + ".pooled.npy", pooled.astype(np.float32))
        print(f"{make.__name__:<20} {np.sqrt((hidden * hidden).mean()):.3f}")


if __name__ == "__main__":
    main()
