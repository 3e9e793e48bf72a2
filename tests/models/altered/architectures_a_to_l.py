"""Altered models of the architectures A to L; see make_altered.py."""
import math

import numpy as np

from altered.forward import *


@case
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


@case
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


@case
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


@case
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


@case
def falcon_two_norms():
    """The 40B form: each branch has its own norm."""
    m = Maker("falcon", 9, LAYER)
    a = angles(8)

    def layer(i, x, norm):
        y = gqa(m, i, norm(f"blk.{i}.attn_norm_2", x), lambda v: rotate(v, a, True))
        return x + y + dense(m, i, norm(f"blk.{i}.attn_norm", x), gelu, gated=False)

    return m, run(m, layer, norm=with_bias(m), tied=False)


def deepseek2(absorbed, seed):
    """YaRN with a log multiplier, a dense layer, then 3 of 8 experts in 2 of 4 groups."""
    m = Maker("deepseek2", seed, RMS | latent_keys(absorbed) | {
        "leading_dense_block_count": 1, "expert_count": 8, "expert_used_count": 3,
        "expert_feed_forward_length": 24, "expert_shared_count": 2, "expert_weights_scale": 2.5,
        "expert_weights_norm": True, "expert_gating_func": 2, "expert_group_count": 4,
        "expert_group_used_count": 2, "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": 16, "rope.scaling.yarn_log_multiplier": 0.07})
    a = angles(LATENT_ROPE, factor=4.0, yarn=(16, 32.0, 1.0))
    magnitude = 1 + 0.07 * math.log(4.0)  # YaRN's magnitude is in the scores alone

    def mixer(i, x):
        return latent(m, i, x, lambda v, first: rotate(v, a, False, first=first), absorbed,
                      score_magnitude=magnitude)

    def ffn(i, x):
        if i < 1:
            return dense(m, i, x)
        return (moe(m, i, x, kind="sigmoid", select_bias=True, groups=(4, 2), scale=2.5,
                    fused=not absorbed) + dense(m, i, x, n_ff=48, suffix="_shexp"))

    return m, run(m, pre_norm(mixer, ffn))


@case
def deepseek2_absorbed():
    return deepseek2(True, 13)


@case
def deepseek2_legacy():
    return deepseek2(False, 14)


@case
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


@case
def llama4_experts():
    """2 of 4 experts in every other layer, chosen by logit, weighted before they read; rope with
    factors and a base of its own in the chunked layers, the fourth of 4 without."""
    m = Maker("llama4", 20, RMS | {
        "block_count": 4, "interleave_moe_layer_step": 2, "expert_count": 4, "expert_used_count": 2,
        "expert_feed_forward_length": 8, "rope.freq_base_swa": 500.0})
    a = angles(8, 500.0, factors=m.w("rope_freqs.weight", 4, std=0.3, around=1.5))

    def mixer(i, x):
        if i == 3:
            return gqa(m, i, x, lambda v: v)
        return gqa(m, i, x, lambda v: rotate(v, a, False),
                   after=lambda q, k: (rms(q, 1), rms(k, 1)))

    def ffn(i, x):
        if i % 2 == 0:
            return dense(m, i, x)
        return (moe(m, i, x, n=4, used=2, n_ff=8, kind="sigmoid", normalise=False, by_logit=True,
                    weigh_input=True) + dense(m, i, x, n_ff=8, suffix="_shexp"))

    return m, run(m, pre_norm(mixer, ffn), n_layers=4)
