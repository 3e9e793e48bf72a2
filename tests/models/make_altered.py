#!/usr/bin/env python3
"""Writes tests/data/archs/altered-*.gguf and .npy: tiny random models that show what the models of
other programs do not (windows shorter than the text, more experts than used, groups, YaRN, rope
factors, parallel branches, both layouts of latent attention), with the logits of a forward pass
written here in NumPy, in double precision, from the descriptions of the architectures.

usage: make_altered.py [FOLDER]      (needs numpy and gguf)"""
import math
import os
import sys

import numpy as np
from gguf import GGUFWriter

IDS = [3, 17, 64, 5, 99, 120, 33, 7, 7, 42, 81, 2, 110, 9, 55, 23, 76, 100, 1, 88, 12, 64, 31, 127]
VOCAB, D, T = 128, 32, len(IDS)


class Maker:
    """Draws tensors, remembers them for the file and hands them to the forward pass."""

    def __init__(self, arch, seed, keys):
        self.arch, self.keys, self.t = arch, keys, {}
        self.rng = np.random.default_rng(seed)

    def w(self, name, *shape, std=None, around=0.0):
        """shape is NumPy's: [n_out, n_in] or [n_matrices, n_out, n_in]."""
        if name not in self.t:
            std = std if std is not None else 1.5 / math.sqrt(shape[-1])
            x = around + std * self.rng.standard_normal(shape)
            self.t[name] = x.astype(np.float32)
        return self.t[name].astype(np.float64)

    def norm_w(self, name, *shape):
        return self.w(name, *shape, std=0.2, around=1.0)

    def save(self, stem, logits):
        writer = GGUFWriter(stem + ".gguf", self.arch)
        full = {"context_length": 64, "embedding_length": D, "block_count": 2,
                "feed_forward_length": 48, "attention.head_count": 4,
                "attention.head_count_kv": 2} | self.keys
        for key, value in full.items():
            name = f"{self.arch}.{key}"
            if isinstance(value, bool):
                writer.add_bool(name, value)
            elif isinstance(value, int):
                writer.add_uint32(name, value)
            elif isinstance(value, float):
                writer.add_float32(name, value)
            elif isinstance(value, str):
                writer.add_string(name, value)
            else:
                writer.add_array(name, value)
        for name, data in self.t.items():
            writer.add_tensor(name, data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        np.save(stem + ".npy", logits.astype(np.float32))


def rms(x, w, eps=1e-5):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def layer_norm(x, w, b, eps=1e-5):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w + b


def silu(x):
    return x / (1 + np.exp(-x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def angles(n_dims, base=10000.0, factor=1.0, yarn=None, factors=None):
    """Radians per position of each pair; yarn = (original context, beta fast, beta slow)."""
    i = np.arange(n_dims // 2)
    a = base ** (-2.0 * i / n_dims)
    if factors is not None:
        a = a / factors
    if yarn is None:
        return a / factor

    def border(beta):
        return n_dims * math.log(yarn[0] / (2 * math.pi * beta)) / (2 * math.log(base))

    low = max(0.0, math.floor(border(yarn[1])))
    high = min(n_dims - 1.0, math.ceil(border(yarn[2])))
    keep = 1 - np.clip((i - low) / max(0.001, high - low), 0, 1)
    return a / factor * (1 - keep) + a * keep


def rotate(x, a, halves, magnitude=1.0, first=0):
    """x: [T, heads, dim]; the dims [first, first + 2 len(a)) of every head turn."""
    theta = np.arange(T)[:, None] * a[None]
    c, s = (magnitude * f(theta)[:, None] for f in (np.cos, np.sin))
    y, n = x.copy(), len(a)
    if halves:
        p, q = x[..., first:first + n], x[..., first + n:first + 2 * n]
        y[..., first:first + n], y[..., first + n:first + 2 * n] = p * c - q * s, p * s + q * c
    else:
        p, q = x[..., first:first + 2 * n:2], x[..., first + 1:first + 2 * n:2]
        y[..., first:first + 2 * n:2], y[..., first + 1:first + 2 * n:2] = p * c - q * s, p * s + q * c
    return y


def attend(q, k, v, scale, window=0, cap=0.0, sinks=None):
    heads, shared = q.shape[1], q.shape[1] // k.shape[1]
    p, j = np.arange(T)[:, None], np.arange(T)[None]
    hidden = (j > p) | ((p - j >= window) if window else False)
    out = np.zeros((T, heads, v.shape[-1]))
    for h in range(heads):
        score = q[:, h] @ k[:, h // shared].T * scale
        if cap:
            score = cap * np.tanh(score / cap)
        score = np.where(hidden, -np.inf, score)
        if sinks is None:
            weight = softmax(score)
        else:
            one_more = np.concatenate([score, np.full((T, 1), sinks[h])], 1)
            weight = softmax(one_more)[:, :-1]
        out[:, h] = weight @ v[:, h // shared]
    return out.reshape(T, -1)


def gqa(m, i, x, turn, heads=4, kv=2, dim=8, bias=False, qk_norm=None, out_bias=False, scale=None,
        sinks=False, **kw):
    """turn(x) rotates [T, heads, dim] or returns it as it is."""
    b = f"blk.{i}."

    def part(name, n):
        y = x @ m.w(b + f"attn_{name}.weight", n * dim, D, std=2.5 / math.sqrt(D)).T
        return y + m.w(b + f"attn_{name}.bias", n * dim, std=0.3) if bias else y

    q, k, v = part("q", heads), part("k", kv), part("v", kv)
    if qk_norm == "row":
        q = rms(q, m.norm_w(b + "attn_q_norm.weight", heads * dim))
        k = rms(k, m.norm_w(b + "attn_k_norm.weight", kv * dim))
    q, k, v = q.reshape(T, heads, dim), k.reshape(T, kv, dim), v.reshape(T, kv, dim)
    if qk_norm == "head":
        q = rms(q, m.norm_w(b + "attn_q_norm.weight", dim))
        k = rms(k, m.norm_w(b + "attn_k_norm.weight", dim))
    if qk_norm == "layer":  # each head with weights of its own
        q = layer_norm(q, m.norm_w(b + "attn_q_norm.weight", heads, dim), 0)
        k = layer_norm(k, m.norm_w(b + "attn_k_norm.weight", kv, dim), 0)
    s = m.w(b + "attn_sinks.weight", heads, std=1.0) if sinks else None
    y = attend(turn(q), turn(k), v, scale or dim**-0.5, sinks=s, **kw)
    y = y @ m.w(b + "attn_output.weight", D, heads * dim).T
    return y + m.w(b + "attn_output.bias", D, std=0.3) if out_bias else y


def dense(m, i, x, act=silu, n_ff=48, gated=True, fused=False, suffix=""):
    b = f"blk.{i}.ffn_"
    if fused:
        both = x @ m.w(b + "up.weight", 2 * n_ff, D).T
        hidden = act(both[:, :n_ff]) * both[:, n_ff:]
    elif gated:
        hidden = act(x @ m.w(b + f"gate{suffix}.weight", n_ff, D).T)
        hidden = hidden * (x @ m.w(b + f"up{suffix}.weight", n_ff, D).T)
    else:
        hidden = act(x @ m.w(b + f"up{suffix}.weight", n_ff, D).T)
    return hidden @ m.w(b + f"down{suffix}.weight", D, n_ff).T


def swiglu_oai(g, u):
    g, u = np.minimum(g, 7), np.clip(u, -7, 7)
    return g * sigmoid(1.702 * g) * (u + 1)


def moe(m, i, x, n=8, used=3, n_ff=24, kind="softmax", select_bias=False, groups=(1, 1),
        normalise=True, scale=1.0, biases=False, oai=False, fused=False):
    b = f"blk.{i}."
    logits = x @ m.w(b + "ffn_gate_inp.weight", n, D, std=4 / math.sqrt(D)).T
    if biases:
        logits = logits + m.w(b + "ffn_gate_inp.bias", n, std=0.5)
    prob = {"softmax": softmax, "sigmoid": sigmoid, "after": lambda v: v}[kind](logits)
    choice = prob + (m.w(b + "exp_probs_b.bias", n, std=0.3) if select_bias else 0)
    up_rows = 2 * n_ff if fused else n_ff
    up = m.w(b + ("ffn_gate_up_exps.weight" if fused else "ffn_up_exps.weight"), n, up_rows, D)
    gate = None if fused else m.w(b + "ffn_gate_exps.weight", n, n_ff, D)
    down = m.w(b + "ffn_down_exps.weight", n, D, n_ff)
    bias = {k: m.w(b + f"ffn_{k}_exps.bias", n, D if k == "down" else n_ff, std=0.3)
            for k in ("gate", "up", "down")} if biases else None
    y = np.zeros_like(x)
    for t in range(T):
        score = choice[t].copy()
        if groups[0] > 1:
            by_group = score.reshape(groups[0], -1)
            best = np.sort(by_group, 1)[:, -2:].sum(1)
            for g in np.argsort(-best, kind="stable")[groups[1]:]:
                by_group[g] = -np.inf
        chosen = np.argsort(-score, kind="stable")[:used]
        weight = softmax(logits[t, chosen]) if kind == "after" else prob[t, chosen]
        if normalise:
            weight = weight / max(weight.sum(), 2.0**-14)
        for e, share in zip(chosen, weight * scale):
            u = up[e] @ x[t] + (bias["up"][e] if biases else 0)
            if fused:
                g, u = u[:n_ff], u[n_ff:]
            else:
                g = gate[e] @ x[t] + (bias["gate"][e] if biases else 0)
            h = swiglu_oai(g, u) if oai else silu(g) * u
            y[t] += share * (down[e] @ h + (bias["down"][e] if biases else 0))
    return y


def run(m, layer, norm=None, embed_scale=1.0, tied=True, cap=0.0, logit_scale=1.0, n_layers=2):
    norm = norm or (lambda name, v: rms(v, m.norm_w(name + ".weight", D)))
    table = m.w("token_embd.weight", VOCAB, D, std=1.0)
    x = table[IDS] * embed_scale
    for i in range(n_layers):
        x = layer(i, x, norm)
    out = table if tied else m.w("output.weight", VOCAB, D)
    logits = norm("output_norm", x) @ out.T * logit_scale
    return cap * np.tanh(logits / cap) if cap else logits


def pre_norm(mixer, ffn, post=False):
    def layer(i, x, norm):
        y = mixer(i, norm(f"blk.{i}.attn_norm", x))
        x = x + (norm(f"blk.{i}.post_attention_norm", y) if post else y)
        y = ffn(i, norm(f"blk.{i}.ffn_norm", x))
        return x + (norm(f"blk.{i}.post_ffw_norm", y) if post else y)
    return layer


RMS = {"attention.layer_norm_rms_epsilon": 1e-5}
LAYER = {"attention.layer_norm_epsilon": 1e-5}


# ---- the models ---------------------------------------------------------------------------------

def gemma2_window():
    """Window 8 in even layers, soft caps; a rope base of its own in windowed layers."""
    m = Maker("gemma2", 1, RMS | {"attention.sliding_window": 8, "rope.freq_base_swa": 500.0,
                                  "attn_logit_softcapping": 5.0, "final_logit_softcapping": 20.0})
    full, windowed = angles(8), angles(8, 500.0)
    layer = pre_norm(
        lambda i, x: gqa(m, i, x, lambda v: rotate(v, full if i % 2 else windowed, True), cap=5.0,
                         window=0 if i % 2 else 8),
        lambda i, x: dense(m, i, x, gelu), post=True)
    return m, run(m, layer, embed_scale=math.sqrt(D), cap=20.0)


def gemma3_window():
    """Window 8 in all layers but the sixth; linear scaling in the full layer only; 7 layers."""
    m = Maker("gemma3", 2, RMS | {"attention.sliding_window": 8, "block_count": 7,
                                  "rope.freq_base": 1e6, "rope.scaling.type": "linear",
                                  "rope.scaling.factor": 4.0})
    full, windowed = angles(8, 1e6, 4.0), angles(8)
    layer = pre_norm(
        lambda i, x: gqa(m, i, x, lambda v: rotate(v, full if i == 5 else windowed, True),
                         qk_norm="head", window=0 if i == 5 else 8),
        lambda i, x: dense(m, i, x, gelu), post=True)
    return m, run(m, layer, embed_scale=math.sqrt(D), n_layers=7)


def qwen3moe_experts():
    """3 of 8 experts; heads wider than d_model / n_heads."""
    m = Maker("qwen3moe", 3, RMS | {"expert_count": 8, "expert_used_count": 3,
                                    "expert_feed_forward_length": 24, "attention.key_length": 12,
                                    "attention.value_length": 12})
    a = angles(12)
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True), dim=12,
                                      qk_norm="head"),
                     lambda i, x: moe(m, i, x))
    return m, run(m, layer)


def qwen2moe_experts():
    """2 of 6 experts without normalising; a shared expert behind a sigmoid."""
    m = Maker("qwen2moe", 4, RMS | {"expert_count": 6, "expert_used_count": 2,
                                    "expert_feed_forward_length": 24,
                                    "expert_shared_feed_forward_length": 20})
    a = angles(8)

    def ffn(i, x):
        gate = sigmoid(x @ m.w(f"blk.{i}.ffn_gate_inp_shexp.weight", D, std=0.5))[:, None]
        return (moe(m, i, x, n=6, used=2, normalise=False) +
                gate * dense(m, i, x, n_ff=20, suffix="_shexp"))

    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True), bias=True), ffn)
    return m, run(m, layer, tied=False)


def mistral3_yarn():
    """YaRN with all its keys, and a query temperature with 8-token steps."""
    m = Maker("mistral3", 5, RMS | {
        "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": 8, "rope.scaling.yarn_beta_fast": 4.0,
        "rope.scaling.yarn_beta_slow": 0.05, "rope.scaling.yarn_log_multiplier": 0.5,
        "rope.scaling.attn_factor": 1.25, "attention.temperature_scale": 0.4})
    a = angles(8, factor=4.0, yarn=(8, 4.0, 0.05))
    log = math.log(4.0)
    magnitude = 1.25 * (1 + 0.1 * log) / (1 + 0.05 * log)
    grow = (1 + 0.4 * np.log(1 + np.arange(T) // 8))[:, None, None]

    def turn(v):
        y = rotate(v, a, False, magnitude)
        return y * grow if v.shape[1] == 4 else y  # queries only: there are 4 heads of them

    layer = pre_norm(lambda i, x: gqa(m, i, x, turn), lambda i, x: dense(m, i, x))
    return m, run(m, layer)


def gpt_oss_experts():
    """Window 8 in even layers, sinks, YaRN, 3 of 8 experts with biases."""
    m = Maker("gpt-oss", 6, RMS | {
        "attention.sliding_window": 8, "expert_count": 8, "expert_used_count": 3,
        "expert_feed_forward_length": 24, "rope.scaling.type": "yarn", "rope.scaling.factor": 8.0,
        "rope.scaling.original_context_length": 16, "rope.dimension_count": 8})
    a, magnitude = angles(8, factor=8.0, yarn=(16, 32.0, 1.0)), 1 + 0.1 * math.log(8.0)

    def layer(i, x, norm):
        y = gqa(m, i, norm(f"blk.{i}.attn_norm", x), lambda v: rotate(v, a, True, magnitude),
                bias=True, out_bias=True, sinks=True, window=0 if i % 2 else 8)
        x = x + y
        return x + moe(m, i, norm(f"blk.{i}.post_attention_norm", x), kind="after",
                       normalise=False, biases=True, oai=True)

    return m, run(m, layer, tied=False)


def cohere2_window():
    """Parallel branches; window 8 and rope in three of four layers; a logit scale."""
    m = Maker("cohere2", 7, LAYER | {"attention.sliding_window": 8, "block_count": 4,
                                     "logit_scale": 0.25})
    a = angles(8)

    def layer(i, x, norm):
        n = norm(f"blk.{i}.attn_norm", x)
        full = i % 4 == 3
        turn = (lambda v: v) if full else (lambda v: rotate(v, a, False))
        return x + gqa(m, i, n, turn, window=0 if full else 8) + dense(m, i, n)

    return m, run(m, layer, norm=lambda name, v: layer_norm(v, m.norm_w(name + ".weight", D), 0),
                  logit_scale=0.25, n_layers=4)


def with_bias(m):
    return lambda name, v: layer_norm(v, m.norm_w(name + ".weight", D),
                                      m.w(name + ".bias", D, std=0.2))


def stablelm_parallel():
    """The 12B form: no ffn_norm, norms of queries and keys per head, partial rope."""
    m = Maker("stablelm", 8, LAYER | {"rope.dimension_count": 4})
    a = angles(4)

    def layer(i, x, norm):
        n = norm(f"blk.{i}.attn_norm", x)
        return x + gqa(m, i, n, lambda v: rotate(v, a, True), qk_norm="layer") + dense(m, i, n)

    return m, run(m, layer, norm=with_bias(m), tied=False)


def falcon_two_norms():
    """The 40B form: each branch has its own norm."""
    m = Maker("falcon", 9, LAYER)
    a = angles(8)

    def layer(i, x, norm):
        y = gqa(m, i, norm(f"blk.{i}.attn_norm_2", x), lambda v: rotate(v, a, True))
        return x + y + dense(m, i, norm(f"blk.{i}.attn_norm", x), gelu, gated=False)

    return m, run(m, layer, norm=with_bias(m), tied=False)


def olmo2_window():
    """Post norms only; YaRN in full layers, plain rope in windowed ones; 4 layers."""
    m = Maker("olmo2", 10, RMS | {"attention.sliding_window": 8, "block_count": 4,
                                  "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
                                  "rope.scaling.original_context_length": 16})
    plain, yarn = angles(8), angles(8, factor=4.0, yarn=(16, 32.0, 1.0))
    magnitude = 1 + 0.1 * math.log(4.0)

    def layer(i, x, norm):
        full = i % 4 == 3
        turn = ((lambda v: rotate(v, yarn, True, magnitude)) if full else
                (lambda v: rotate(v, plain, True)))
        y = gqa(m, i, x, turn, qk_norm="row", window=0 if full else 8)
        x = x + norm(f"blk.{i}.post_attention_norm", y)
        return x + norm(f"blk.{i}.post_ffw_norm", dense(m, i, x))

    return m, run(m, layer, tied=False, n_layers=4)


def phi3_long():
    """Long rope factors, because the context of the tests (64) is above the original 16."""
    m = Maker("phi3", 11, RMS | {"rope.scaling.original_context_length": 16,
                                 "rope.scaling.attn_factor": 1.2, "rope.dimension_count": 6})
    long = m.w("rope_factors_long.weight", 3, std=0.5, around=3.0)
    m.w("rope_factors_short.weight", 3, std=0.1, around=1.0)
    a = angles(6, factors=long)
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True, 1.2)),
                     lambda i, x: dense(m, i, x, fused=True))
    return m, run(m, layer)


def smollm3_layers():
    """The fourth of 5 layers has no rope."""
    m = Maker("smollm3", 12, RMS | {"block_count": 5})
    a = angles(8)
    layer = pre_norm(
        lambda i, x: gqa(m, i, x, lambda v: v if i == 3 else rotate(v, a, False)),
        lambda i, x: dense(m, i, x))
    return m, run(m, layer, n_layers=5)


def deepseek2(absorbed):
    """3 heads, YaRN with a log multiplier, a dense layer, then 3 of 8 experts in 2 of 4 groups."""
    heads, nope, rope_dim, v_dim, rank, q_rank = 3, 12, 8, 10, 16, 20
    k_dim = nope + rope_dim
    keys = RMS | {
        "attention.head_count": heads, "attention.head_count_kv": 1 if absorbed else heads,
        "attention.kv_lora_rank": rank, "attention.q_lora_rank": q_rank,
        "rope.dimension_count": rope_dim, "leading_dense_block_count": 1, "expert_count": 8,
        "expert_used_count": 3, "expert_feed_forward_length": 24, "expert_shared_count": 2,
        "expert_weights_scale": 2.5, "expert_weights_norm": True, "expert_gating_func": 2,
        "expert_group_count": 4, "expert_group_used_count": 2, "rope.scaling.type": "yarn",
        "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16,
        "rope.scaling.yarn_log_multiplier": 0.07}
    if absorbed:
        keys |= {"attention.key_length_mla": k_dim, "attention.value_length_mla": v_dim,
                 "attention.key_length": rank + rope_dim, "attention.value_length": rank}
    else:
        keys |= {"attention.key_length": k_dim, "attention.value_length": v_dim}
    m = Maker("deepseek2", 13 if absorbed else 14, keys)
    a, log = angles(rope_dim, factor=4.0, yarn=(16, 32.0, 1.0)), math.log(4.0)
    scale = (1 + 0.07 * log) ** 2 / math.sqrt(k_dim)  # YaRN's magnitude is here alone

    def mixer(i, x):
        b = f"blk.{i}.attn_"
        q = rms(x @ m.w(b + "q_a.weight", q_rank, D).T, m.norm_w(b + "q_a_norm.weight", q_rank))
        q = (q @ m.w(b + "q_b.weight", heads * k_dim, q_rank).T).reshape(T, heads, k_dim)
        q = rotate(q, a, False, first=nope)
        kv = x @ m.w(b + "kv_a_mqa.weight", rank + rope_dim, D).T
        c = rms(kv[:, :rank], m.norm_w(b + "kv_a_norm.weight", rank))
        k_rope = rotate(kv[:, None, rank:], a, False)
        if absorbed:
            k_b = m.w(b + "k_b.weight", heads, rank, nope)
            v_b = m.w(b + "v_b.weight", heads, v_dim, rank)
            k_nope = np.einsum("tr,hrn->thn", c, k_b)
            v = np.einsum("tr,hvr->thv", c, v_b)
        else:
            kv_b = m.w(b + "kv_b.weight", heads * (nope + v_dim), rank)
            both = (c @ kv_b.T).reshape(T, heads, nope + v_dim)
            k_nope, v = both[..., :nope], both[..., nope:]
        k = np.concatenate([k_nope, np.repeat(k_rope, heads, 1)], -1)
        return attend(q, k, v, scale) @ m.w(b + "output.weight", D, heads * v_dim).T

    def ffn(i, x):
        if i < 1:
            return dense(m, i, x)
        return (moe(m, i, x, kind="sigmoid", select_bias=True, groups=(4, 2), scale=2.5,
                    fused=not absorbed) + dense(m, i, x, n_ff=48, suffix="_shexp"))

    return m, run(m, pre_norm(mixer, ffn))


def granite_scales():
    """All four multipliers, 2 of 4 experts and a shared one."""
    m = Maker("granite", 15, RMS | {
        "expert_count": 4, "expert_used_count": 2, "expert_shared_feed_forward_length": 20,
        "embedding_scale": 3.0, "residual_scale": 0.4, "attention.scale": 0.2, "logit_scale": 5.0})
    a = angles(8)

    def layer(i, x, norm):
        y = gqa(m, i, norm(f"blk.{i}.attn_norm", x), lambda v: rotate(v, a, False), scale=0.2)
        x = x + 0.4 * y
        n = norm(f"blk.{i}.ffn_norm", x)
        y = moe(m, i, n, n=4, used=2, n_ff=48) + dense(m, i, n, n_ff=20, suffix="_shexp")
        return x + 0.4 * y

    return m, run(m, layer, embed_scale=3.0, logit_scale=1 / 5.0)


CASES = {
    "gemma2-window": gemma2_window, "gemma3-window": gemma3_window,
    "qwen3moe-experts": qwen3moe_experts, "qwen2moe-experts": qwen2moe_experts,
    "mistral3-yarn": mistral3_yarn, "gpt-oss-experts": gpt_oss_experts,
    "cohere2-window": cohere2_window, "stablelm-parallel": stablelm_parallel,
    "falcon-two-norms": falcon_two_norms, "olmo2-window": olmo2_window, "phi3-long": phi3_long,
    "smollm3-layers": smollm3_layers, "deepseek2-absorbed": lambda: deepseek2(True),
    "deepseek2-legacy": lambda: deepseek2(False), "granite-scales": granite_scales,
}

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "data", "archs")
    for name, make in CASES.items():
        model, logits = make()
        model.save(os.path.join(folder, "altered-" + name), logits)
        print(name, float(np.abs(logits).max()))
