"""Altered models of the architectures M to Z; see make_altered.py."""
import math

import numpy as np

from altered.forward import *


@case
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


@case
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


@case
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


@case
def stablelm_parallel():
    """The 12B form: no ffn_norm, norms of queries and keys per head, partial rope."""
    m = Maker("stablelm", 8, LAYER | {"rope.dimension_count": 4})
    a = angles(4)

    def layer(i, x, norm):
        n = norm(f"blk.{i}.attn_norm", x)
        return x + gqa(m, i, n, lambda v: rotate(v, a, True), qk_norm="layer") + dense(m, i, n)

    return m, run(m, layer, norm=with_bias(m), tied=False)


@case
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


@case
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


@case
def smollm3_layers():
    """The fourth of 5 layers has no rope."""
    m = Maker("smollm3", 12, RMS | {"block_count": 5})
    a = angles(8)
    layer = pre_norm(
        lambda i, x: gqa(m, i, x, lambda v: v if i == 3 else rotate(v, a, False)),
        lambda i, x: dense(m, i, x))
    return m, run(m, layer, n_layers=5)


@case
def maple_window():
    """Window 8 and rope of 4 dims in windowed layers, none in the others; clamped experts."""
    m = Maker("maple", 21, RMS | {
        "block_count": 3, "attention.sliding_window": 8, "expert_count": 4, "expert_used_count": 2,
        "attention.sliding_window_pattern": [1, 0, 1], "expert_feed_forward_length": 8,
        "rope.dimension_count_swa": 4, "rope.freq_base_swa": 500.0,
        "rope.scaling.factor": 2.0, "swiglu_clamp_exp": [0.5, 0.0, 0.2]})
    a = angles(4, 500.0, 2.0)

    def mixer(i, x):
        turn = (lambda v: v) if i == 1 else (lambda v: rotate(v, a, True))
        return gqa(m, i, x, turn, qk_norm="head", window=0 if i == 1 else 8)

    layer = pre_norm(mixer, lambda i, x: moe(m, i, x, n=4, used=2, n_ff=8,
                                             limit=[0.5, 0.0, 0.2][i]))
    return m, run(m, layer, tied=False, n_layers=3)


@case
def mellum_window():
    """Every other layer has window 8 and an unscaled rope; YaRN in the full ones."""
    m = Maker("mellum", 22, RMS | {
        "attention.sliding_window": 8, "attention.sliding_window_pattern": 2, "expert_count": 4,
        "expert_used_count": 2, "expert_feed_forward_length": 8, "rope.freq_base": 500.0,
        "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": 16})
    plain, yarn = angles(8, 500.0), angles(8, 500.0, 4.0, yarn=(16, 32.0, 1.0))

    def mixer(i, x):
        if i == 0:
            return gqa(m, i, x, lambda v: rotate(v, plain, True), qk_norm="head", window=8)
        return gqa(m, i, x, lambda v: rotate(v, yarn, True, 1 + 0.1 * math.log(4.0)),
                   qk_norm="head")

    return m, run(m, pre_norm(mixer, lambda i, x: moe(m, i, x, n=4, used=2, n_ff=8)), tied=False)


@case
def mimo2_window():
    """Keys of 12 dims of which 8 turn, values of 8; heads per layer; sinks, window and experts in
    the second layer alone; YaRN in the first; biases of q, k and v that do not count."""
    m = Maker("mimo2", 23, RMS | {
        "attention.head_count_kv": [2, 4], "attention.key_length": 12, "attention.value_length": 8,
        "rope.dimension_count": 8, "rope.freq_base": 500.0, "attention.sliding_window": 8,
        "attention.sliding_window_pattern": [0, 1], "attention.value_scale": 0.5,
        "expert_count": 8, "expert_used_count": 3, "expert_feed_forward_length": 8,
        "expert_group_count": 4, "expert_group_used_count": 2, "rope.scaling.type": "yarn",
        "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16,
        "rope.scaling.attn_factor": 1.2})
    plain, yarn = angles(8), angles(8, 500.0, 4.0, yarn=(16, 32.0, 1.0))
    for i, kv in enumerate((2, 4)):
        for name, n in (("q", 48), ("k", kv * 12), ("v", kv * 8)):
            m.w(f"blk.{i}.attn_{name}.bias", n, std=1.0)

    def mixer(i, x):
        if i == 0:
            magnitude = 1.2 * (1 + 0.1 * math.log(4.0))
            return 0.5 * gqa(m, i, x, lambda v: rotate(v, yarn, True, magnitude), dim=12, v_dim=8,
                             fused=True)
        return 0.5 * gqa(m, i, x, lambda v: rotate(v, plain, True, 1.2), kv=4, dim=12, v_dim=8,
                         sinks=True, window=8)

    def ffn(i, x):
        if i == 0:
            return dense(m, i, x)
        return moe(m, i, x, n_ff=8, kind="sigmoid", select_bias=True, groups=(4, 2))

    return m, run(m, pre_norm(mixer, ffn), tied=False)


@case
def minicpm3_long():
    """Latent attention with rope in halves and long factors; the constant scales."""
    m = Maker("minicpm3", 24, RMS | latent_keys(False) |
              {"rope.scaling.original_context_length": 16})
    a = angles(LATENT_ROPE, factors=m.w("rope_factors_long.weight", 4, std=0.5, around=3.0))
    m.w("rope_factors_short.weight", 4, std=0.1, around=1.0)
    branch = 1.4 / math.sqrt(2)
    layer = pre_norm(
        lambda i, x: branch * latent(m, i, x, lambda v, first: rotate(v, a, True, first=first),
                                     False),
        lambda i, x: branch * dense(m, i, x))
    return m, run(m, layer, embed_scale=12.0, logit_scale=256 / D)


@case
def minimax_m2_experts():
    """3 of 8 experts chosen with a bias; half of each head turns; whole rows normalised."""
    m = Maker("minimax-m2", 25, RMS | {
        "feed_forward_length": 8, "expert_feed_forward_length": 8, "expert_count": 8,
        "expert_used_count": 3, "expert_gating_func": 2, "rope.dimension_count": 4})
    a = angles(4)
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True), qk_norm="row"),
                     lambda i, x: moe(m, i, x, n_ff=8, kind="sigmoid", select_bias=True))
    return m, run(m, layer, tied=False)


@case
def mistral4_yarn():
    """YaRN whose log multiplier leaves a part of the magnitude in cos and sin; a temperature."""
    m = Maker("mistral4", 26, RMS | latent_keys(True) | {
        "expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 8,
        "expert_shared_count": 1, "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": 16, "rope.scaling.yarn_log_multiplier": 0.05,
        "attention.temperature_scale": 0.4, "attention.temperature_length": 8})
    a, log = angles(LATENT_ROPE, factor=4.0, yarn=(16, 32.0, 1.0)), math.log(4.0)
    magnitude = (1 + 0.1 * log) / (1 + 0.05 * log)
    grow = (1 + 0.4 * np.log(1 + np.arange(T) // 8))[:, None, None]

    def turn(v, first):
        y = rotate(v, a, False, magnitude, first=first)
        return y * grow if first else y  # queries only: their rope part is not the first

    layer = pre_norm(
        lambda i, x: latent(m, i, x, turn, True, score_magnitude=1 + 0.1 * log),
        lambda i, x: moe(m, i, x, n=4, used=2, n_ff=8, normalise=False) +
        dense(m, i, x, n_ff=8, suffix="_shexp"))
    return m, run(m, layer)


@case
def mpt_awq():
    """6 heads with linear biases, rows normalised, everything clamped, hidden values divided, and
    not a single bias."""
    m = Maker("mpt", 27, LAYER | {
        "attention.head_count": 6, "attention.head_count_kv": 6, "attention.key_length": 8,
        "attention.value_length": 8, "attention.max_alibi_bias": 8.0, "attention.clamp_kqv": 1.5})
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: v, heads=6, kv=6, fused=True, clamp=1.5,
                                      qk_norm="layer row", max_bias=8.0),
                     lambda i, x: dense(m, i, x, gelu, gated=False, divisors=True))
    return m, run(m, layer, norm=lambda name, v: layer_norm(v, m.norm_w(name + ".weight", D), 0))


@case
def muse_glimmer_window():
    """4 layers of which the last is full and has no rope; 4 dims turn; scaling does not apply but
    for its magnitude."""
    m = Maker("muse-glimmer", 28, RMS | {
        "block_count": 4, "attention.sliding_window": 8, "logit_scale": 2.0,
        "final_logit_softcapping": 5.0, "rope.dimension_count_swa": 4, "rope.scaling.factor": 4.0,
        "rope.scaling.attn_factor": 1.3, "rope.freq_base": 500.0})
    a = angles(4, 500.0)

    def layer(i, x, norm):
        def post(name, y):
            return rms(y, m.norm_w(f"blk.{i}.{name}.weight", D), 1e-8)

        turn = (lambda v: v) if i == 3 else (lambda v: rotate(v, a, False, 1.3))
        y = gqa(m, i, norm(f"blk.{i}.attn_norm", x), turn, qk_norm="head", gate=32,
                window=0 if i == 3 else 8)
        x = x + post("post_attention_norm", y)
        return x + post("post_ffw_norm", dense(m, i, norm(f"blk.{i}.ffn_norm", x)))

    return m, run(m, layer, tied=False, cap=5.0, logit_scale=2.0, n_layers=4,
                  embed=lambda x: rms(x, 1))


@case
def nanbeige_loops():
    """2 layers that run three times; heads wider than d_model / n_heads."""
    m = Maker("nanbeige", 29, RMS | {"num_loops": 3, "attention.key_length": 12,
                                     "attention.value_length": 12})
    a = angles(12)
    once = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, False), dim=12),
                    lambda i, x: dense(m, i, x))

    def layer(i, x, norm):
        if i > 0 and i % 2 == 0:
            x = norm("output_norm", x)
        return once(i % 2, x, norm)

    return m, run(m, layer, n_layers=6)


@case
def openelm_layers():
    """Heads and widths of each layer's own."""
    heads, kv, n_ff = [4, 2, 6], [2, 1, 3], [48, 32, 24]
    m = Maker("openelm", 30, RMS | {
        "block_count": 3, "attention.head_count": heads, "attention.head_count_kv": kv,
        "attention.key_length": 8, "attention.value_length": 8, "feed_forward_length": n_ff,
        "rope.dimension_count": 6})
    a = angles(6)
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True), heads=heads[i],
                                      kv=kv[i], fused=True, qk_norm="head"),
                     lambda i, x: dense(m, i, x, n_ff=n_ff[i]))
    return m, run(m, layer, n_layers=3)


@case
def phimoe_long():
    """2 of 4 experts, half of each head turns by long factors, norms with biases."""
    m = Maker("phimoe", 31, RMS | {
        "feed_forward_length": 8, "expert_count": 4, "expert_used_count": 2,
        "rope.dimension_count": 4, "rope.scaling.original_context_length": 16,
        "rope.scaling.attn_factor": 1.2})
    a = angles(4, factors=m.w("rope_factors_long.weight", 2, std=0.5, around=3.0))
    m.w("rope_factors_short.weight", 2, std=0.1, around=1.0)
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True, 1.2), bias=True,
                                      out_bias=True),
                     lambda i, x: moe(m, i, x, n=4, used=2, n_ff=8))
    return m, run(m, layer, tied=False, out_bias=True,
                  norm=lambda name, v: rms(v, m.norm_w(name + ".weight", D)) +
                  m.w(name + ".bias", D, std=0.2))


@case
def plamo3_window():
    """The third of 3 layers is full; keys of 8 dims, values of 12; heads of each layer's own."""
    heads, kv, n_ff = [4, 2, 4], [2, 1, 1], [48, 32, 24]
    m = Maker("plamo3", 32, RMS | {
        "block_count": 3, "attention.head_count": heads, "attention.head_count_kv": kv,
        "attention.key_length": 8, "attention.value_length": 12, "feed_forward_length": n_ff,
        "attention.sliding_window": 8, "attention.sliding_window_pattern": 3,
        "rope.freq_base": 500.0, "rope.scaling.factor": 4.0})
    full, windowed = angles(8, 500.0, 4.0), angles(8)

    def layer(i, x, norm):
        def post(name, y):
            return rms(y, m.norm_w(f"blk.{i}.{name}", D))

        a = full if i == 2 else windowed
        y = gqa(m, i, norm(f"blk.{i}.attn_norm", x), lambda v: rotate(v, a, True), heads=heads[i],
                kv=kv[i], v_dim=12, fused=True, qk_norm="head", window=0 if i == 2 else 8)
        x = x + post("post_attention_norm", y)
        y = dense(m, i, norm(f"blk.{i}.ffn_norm", x), n_ff=n_ff[i], fused=True)
        return x + post("post_ffw_norm", y)

    return m, run(m, layer, tied=False, n_layers=3)


@case
def qwen2vl_sections():
    """The fourth of 4 pairs belongs to a section that text does not turn; an output bias that does
    not count; no epsilon in the file."""
    m = Maker("qwen2vl", 33, {"rope.dimension_sections": [1, 1, 1, 1]})
    a = angles(8) * [1, 1, 1, 0]
    m.w("output.bias", VOCAB, std=1.0)
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True), bias=True),
                     lambda i, x: dense(m, i, x))
    return m, run(m, layer, norm=lambda name, v: rms(v, m.norm_w(name + ".weight", D), 0.0))


@case
def qwen3vl_sections():
    """Interleaved sections that name 3 of 6 pairs; the others do not turn in text."""
    m = Maker("qwen3vl", 34, RMS | {"rope.dimension_sections": [1, 1, 1, 3],
                                    "attention.key_length": 12, "attention.value_length": 12})
    a = angles(12) * [1, 1, 1, 0, 0, 0]
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True), dim=12,
                                      qk_norm="head"),
                     lambda i, x: dense(m, i, x))
    return m, run(m, layer)


@case
def smallthinker_experts():
    """Every fourth of 5 layers has no rope, every other one a base of its own; the router reads
    what the layer reads."""
    m = Maker("smallthinker", 35, RMS | {
        "block_count": 5, "attention.sliding_window": 8, "attention.sliding_window_pattern": 2,
        "rope.freq_base_swa": 500.0, "expert_count": 4, "expert_used_count": 2,
        "expert_feed_forward_length": 8, "expert_gating_func": 2})
    full, windowed = angles(8), angles(8, 500.0)

    def layer(i, x, norm):
        a = windowed if i % 2 else full
        turn = (lambda v: v) if i % 4 == 0 else (lambda v: rotate(v, a, True))
        # The window is 4096, whatever the file asks for.
        y = x + gqa(m, i, norm(f"blk.{i}.attn_norm", x), turn)
        return y + moe(m, i, norm(f"blk.{i}.ffn_norm", y), n=4, used=2, n_ff=8, kind="sigmoid",
                       routed=x, act=lambda v: np.maximum(v, 0))

    return m, run(m, layer, n_layers=5)


@case
def spark2_5_window():
    """Window 5 and a rope of 4 dims in the first layer; a gate per head, heads per layer."""
    heads = [4, 2]
    m = Maker("spark2_5", 36, RMS | {
        "attention.head_count": heads, "attention.head_count_kv": [2, 1],
        "attention.sliding_window": 5, "attention.sliding_window_pattern": [1, 0],
        "rope.freq_base_swa": 500.0, "rope.dimension_count_swa": 4})
    ropes = [angles(4, 500.0), angles(8)]
    layer = pre_norm(lambda i, x: gqa(m, i, x, lambda v: rotate(v, ropes[i], True), heads=heads[i],
                                      kv=heads[i] // 2, gate=heads[i], window=0 if i else 5),
                     lambda i, x: dense(m, i, x, gelu))
    return m, run(m, layer)


@case
def talkie_scales():
    """A factor per head of queries, the embedding added again, scaled logits."""
    m = Maker("talkie", 37, RMS | {"logit_scale": 0.37})
    a, first = angles(8), []

    def after(i):
        def normed(q, k):
            return rms(q, m.norm_w(f"blk.{i}.attn_q_norm.weight", 4, 1)), rms(k, 1)
        return normed

    def embed(x):
        first.append(rms(x, 1))
        return first[0]

    def layer(i, x, norm):
        x = x + gqa(m, i, rms(x, 1), lambda v: rotate(v, a, True), after=after(i))
        x = x + dense(m, i, rms(x, 1))
        return x + first[0] * m.w(f"blk.{i}.layer_output_scale.weight", 1, std=0.5)

    return m, run(m, layer, norm=lambda name, v: rms(v, 1), tied=False, logit_scale=0.37,
                  embed=embed)
