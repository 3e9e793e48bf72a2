"""Altered models whose layers have gates, experts of chunks, sections, stacks, or differ from each
other; see make_altered.py."""
import math

import numpy as np

from altered import forward
from altered.forward import *

RMS = forward.RMS | {"feed_forward_length": 24}
LAYER = forward.LAYER | {"feed_forward_length": 24}
TURN = lambda v: rotate(v, angles(8), True)
PAIRS = lambda v: rotate(v, angles(8), False)
STILL = lambda v: v
EXPERTS = {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 8}


def softplus(x):
    return np.log1p(np.exp(x))


def dense(m, i, x, n_ff=24, **kw):
    return forward.dense(m, i, x, n_ff=n_ff, **kw)


def experts(m, i, x, **kw):
    return moe(m, i, x, **({"n": 4, "used": 2, "n_ff": 8} | kw))


def shared(m, i, x, n_ff=8):
    return dense(m, i, x, n_ff=n_ff, suffix="_shexp")


@case
def afmoe_gates():
    """Window 8 with a rope base of its own, a gate per value, rope off in the fourth of 5 layers."""
    m = Maker("afmoe", 101, RMS | EXPERTS | {
        "block_count": 5, "attention.sliding_window": 8, "rope.freq_base_swa": 500.0,
        "leading_dense_block_count": 1, "expert_shared_count": 2, "expert_weights_norm": True,
        "expert_weights_scale": 1.5})
    windowed = lambda v: rotate(v, angles(8, 500.0), True)

    def ffn(i, x):
        if i < 1:
            return dense(m, i, x)
        return (experts(m, i, x, kind="sigmoid", select_bias=True, scale=1.5) +
                shared(m, i, x, 16))

    layer = pre_norm(
        lambda i, x: gqa(m, i, x, STILL if i == 3 else windowed, qk_norm="head",
                         window=0 if i == 3 else 8, gate=32), ffn, post=True)
    return m, run(m, layer, embed_scale=math.sqrt(D), n_layers=5)


@case
def laguna_heads():
    """Heads that differ by layer, gates per head and per value, YaRN in the full layer alone."""
    heads = [4, 2, 4, 2]
    m = Maker("laguna", 102, RMS | EXPERTS | {
        "block_count": 4, "attention.head_count": heads, "attention.sliding_window": 8,
        "leading_dense_block_count": 1, "rope.dimension_count": 4, "rope.dimension_count_swa": 6,
        "rope.freq_base_swa": 700.0, "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": 16})
    yarn, plain = angles(4, factor=4.0, yarn=(16, 32.0, 1.0)), angles(6, 700.0)
    full = lambda v: rotate(v, yarn, True, 1 + 0.1 * math.log(4.0))
    windowed = lambda v: rotate(v, plain, True)

    def mixer(i, x):
        width = heads[i] * 8 if i == 2 else heads[i]
        return gqa(m, i, x, windowed if i else full, heads=heads[i], qk_norm="head",
                   window=8 if i else 0, gate=width, gate_act=softplus)

    def ffn(i, x):
        if i < 1:
            return dense(m, i, x)
        return (experts(m, i, x, kind="sigmoid", select_bias=True, normalise=False) +
                shared(m, i, x))

    return m, run(m, pre_norm(mixer, ffn), n_layers=4)


@case
def cohere2moe_window():
    """Parallel branches; the first of four layers full; experts averaged with a shared one."""
    m = Maker("cohere2moe", 103, LAYER | EXPERTS | {
        "block_count": 5, "attention.sliding_window": 8, "logit_scale": 0.5,
        "leading_dense_block_count": 1, "expert_shared_count": 1, "expert_weights_norm": True})

    def layer(i, x, norm):
        n = norm(f"blk.{i}.attn_norm", x)
        full = i % 4 == 0
        y = gqa(m, i, n, STILL if i == 4 else PAIRS, window=0 if full else 8)
        if i < 1:
            return x + y + dense(m, i, n)
        return x + y + 0.5 * (experts(m, i, n, kind="sigmoid", fused=i == 2) + shared(m, i, n))

    norm = lambda name, v: layer_norm(v, m.norm_w(name + ".weight", D), 0)
    return m, run(m, layer, norm=norm, logit_scale=0.5, n_layers=5)


@case
def grovemoe_chunks():
    """3 of 8 experts; 4 chunks of two, whose experts read what the first ones gave."""
    m = Maker("grovemoe", 105, RMS | {
        "expert_count": 8, "expert_used_count": 3, "expert_feed_forward_length": 8,
        "experts_per_group": 2, "expert_group_scale": 0.3,
        "expert_chunk_feed_forward_length": 6})

    def ffn(i, x):
        first = moe(m, i, x, n_ff=8)
        b = f"blk.{i}.ffn_"
        logits = x @ m.w(b + "gate_inp.weight", 8, D).T
        gate, up = (m.w(b + f"{name}_chexps.weight", 4, 6, D) for name in ("gate", "up"))
        down = m.w(b + "down_chexps.weight", 4, D, 6)
        more = np.zeros_like(x)
        for t in range(T):
            chunks = np.argsort(-logits[t], kind="stable")[:3] // 2
            weight = softmax(logits[t])[chunks]
            for c, share in zip(chunks, weight / max(weight.sum(), 2.0**-14)):
                hidden = silu(gate[c] @ first[t]) * (up[c] @ first[t])
                more[t] += share * (down[c] @ hidden)
        return first + 0.3 * more

    return m, run(m, pre_norm(lambda i, x: gqa(m, i, x, TURN, qk_norm="head"), ffn))


@case
def deci_layers():
    """No attention, one matrix, no layer at all; long rope factors; biases."""
    heads, kv, widths = [4, 0, 4, 4, 2], [2, 0, 0, 2, 1], [24, 24, 20, 0, 16]
    m = Maker("deci", 106, RMS | {
        "block_count": 5, "attention.head_count": heads, "attention.head_count_kv": kv,
        "feed_forward_length": widths, "rope.scaling.type": "longrope",
        "rope.scaling.original_context_length": 16})
    long = m.w("rope_factors_long.weight", 4, std=0.5, around=3.0)
    m.w("rope_factors_short.weight", 4, std=0.1, around=1.0)
    turn = lambda v: rotate(v, angles(8, factors=long), False)

    def layer(i, x, norm):
        if widths[i] == 0:
            return x
        if heads[i]:
            n = norm(f"blk.{i}.attn_norm", x)
            x = x + (gqa(m, i, n, turn, heads=heads[i], kv=kv[i], out_bias=True) if kv[i] else
                     n @ m.w(f"blk.{i}.attn_output.weight", D, D).T)
        return x + dense(m, i, norm(f"blk.{i}.ffn_norm", x), n_ff=widths[i])

    return m, run(m, layer, n_layers=5)


@case
def grok_yarn():
    """2 of 4 experts and no dense part; YaRN with its own keys and defaults; all default scales."""
    m = Maker("grok", 107, RMS | EXPERTS | {
        "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.yarn_beta_slow": 0.1,
        "rope.scaling.original_context_length": 32, "final_logit_softcapping": 20.0})
    a = angles(8, factor=4.0, yarn=(32, 8.0, 0.1))
    turn = lambda v: rotate(v, a, True, 1 + 0.1 * math.log(4.0))

    def layer(i, x, norm):
        b = f"blk.{i}."
        y = gqa(m, i, norm(b + "attn_norm", x), turn, scale=0.08838834764831845, cap=30.0)
        x = x + norm(b + "attn_output_norm", y)
        return x + norm(b + "post_ffw_norm", experts(m, i, norm(b + "ffn_norm", x), act=gelu))

    return m, run(m, layer, embed_scale=78.38367176906169, logit_scale=0.5773502691896257, cap=20.0)


@case
def granite_swa_experts():
    """Windows, sinks and rope by layer; fused experts and a fused shared one; all multipliers."""
    m = Maker("granite_swa", 108, RMS | {
        "block_count": 3, "expert_count": 4, "expert_used_count": 2, "feed_forward_length": 8,
        "expert_shared_feed_forward_length": 12, "attention.sliding_window": 8,
        "attention.sliding_window_pattern": [1, 0, 1], "attention.rope_pattern": [1, 1, 0],
        "embedding_scale": 3.0, "residual_scale": 0.4, "attention.scale": 0.2, "logit_scale": 5.0})

    def layer(i, x, norm):
        y = gqa(m, i, norm(f"blk.{i}.attn_norm", x), PAIRS if i < 2 else STILL, scale=0.2,
                sinks=True, window=0 if i == 1 else 8)
        x = x + 0.4 * y
        n = norm(f"blk.{i}.ffn_norm", x)
        both = n @ m.w(f"blk.{i}.ffn_up_shexp.weight", 24, D).T
        y = (silu(both[:, :12]) * both[:, 12:]) @ m.w(f"blk.{i}.ffn_down_shexp.weight", D, 12).T
        return x + 0.4 * (y + experts(m, i, n, n=4, fused=True))

    return m, run(m, layer, embed_scale=3.0, logit_scale=1 / 5.0, n_layers=3)


@case
def glm4moe_sections():
    """Rope sections over a part of wider heads, the fourth of which stands still; groups; biases."""
    m = Maker("glm4moe", 109, RMS | EXPERTS | {
        "expert_count": 8, "attention.key_length": 12, "attention.value_length": 12,
        "rope.dimension_count": 8, "rope.dimension_sections": [1, 1, 1, 1],
        "leading_dense_block_count": 1, "expert_shared_count": 1, "expert_weights_norm": True,
        "expert_weights_scale": 1.7, "expert_group_count": 4, "expert_group_used_count": 2})
    a = angles(8) * [1, 1, 1, 0]

    def layer(i, x, norm):
        x = x + gqa(m, i, norm(f"blk.{i}.attn_norm", x), lambda v: rotate(v, a, True), dim=12,
                    bias=True)
        n = norm(f"blk.{i}.post_attention_norm", x)
        if i < 1:
            return x + dense(m, i, n)
        return x + shared(m, i, n) + experts(m, i, n, n=8, kind="sigmoid", select_bias=True,
                                             groups=(4, 2), scale=1.7)

    return m, run(m, layer, tied=False)


@case
def hunyuan_alpha():
    """The base stretched by alpha; norms after the rotation."""
    m = Maker("hunyuan-dense", 110, RMS | {"rope.scaling.alpha": 50.0})
    turn = lambda v: rotate(v, angles(8, 10000.0 * 50.0 ** (8 / 6)), True)

    def after(i):
        return lambda q, k: (rms(q, m.norm_w(f"blk.{i}.attn_q_norm.weight", 8)),
                             rms(k, m.norm_w(f"blk.{i}.attn_k_norm.weight", 8)))

    return m, run(m, pre_norm(lambda i, x: gqa(m, i, x, turn, after=after(i)),
                              lambda i, x: dense(m, i, x)))


@case
def gptneox_parallel():
    """Both branches read the same stream through norms of their own; rope in half of each head."""
    m = Maker("gptneox", 111, LAYER | {"use_parallel_residual": True, "rope.dimension_count": 4})
    norm = with_bias(m)

    def layer(i, x, norm):
        y = gqa(m, i, norm(f"blk.{i}.attn_norm", x), lambda v: rotate(v, angles(4), True),
                bias=True, out_bias=True)
        return x + y + biased(m, i, norm(f"blk.{i}.ffn_norm", x), gated=False, act=gelu)

    return m, run(m, layer, norm=norm, tied=False)


def biased(m, i, x, gated, act):
    """A dense feed-forward with biases."""
    b = f"blk.{i}.ffn_"

    def product(name, x, n):
        return x @ m.w(b + name + ".weight", n, x.shape[1]).T + m.w(b + name + ".bias", n, std=0.3)

    hidden = act(product("gate" if gated else "up", x, 24))
    return product("down", hidden * product("up", x, 24) if gated else hidden, D)


@case
def jais_heads():
    """Linear biases of 3 heads, scores divided by the head size, a gated feed-forward with biases."""
    m = Maker("jais", 112, LAYER | {
        "attention.head_count": 3, "attention.head_count_kv": 3, "attention.key_length": 8,
        "attention.value_length": 8, "attention.max_alibi_bias": 8.0})
    def mixer(i, x):
        return gqa(m, i, x, STILL, heads=3, kv=3, bias=True, out_bias=True, scale=1 / 8,
                   max_bias=8.0)

    layer = pre_norm(mixer, lambda i, x: biased(m, i, x, gated=True, act=silu))
    return m, run(m, layer, norm=with_bias(m), tied=False)


@case
def hy_v3_layers():
    """A dense layer between two with experts, one of them fused; the short name of the bias."""
    m = Maker("hy_v3", 113, RMS | EXPERTS | {
        "block_count": 3, "expert_shared_feed_forward_length": 20, "expert_weights_norm": True,
        "expert_weights_scale": 0.7})

    def ffn(i, x):
        if i == 1:
            return dense(m, i, x)
        return shared(m, i, x, 20) + experts(m, i, x, kind="sigmoid", select_bias=True, scale=0.7,
                                             fused=i == 2, bias_name="exp_probs_b")

    layer = pre_norm(lambda i, x: gqa(m, i, x, TURN, qk_norm="head"), ffn)
    return m, run(m, layer, n_layers=3)


@case
def hrm_text_cycles():
    """Two stacks of two layers: low, low, high, low, low, high."""
    m = Maker("hrm_text", 114, RMS | {
        "block_count": 12, "hrm.layers_per_stack": 2, "hrm.h_cycles": 2, "hrm.l_cycles": 2,
        "embedding_scale": 2.0})
    norm = lambda v: rms(v, 1.0)

    def stack(first, x):
        for i in (first, first + 1):
            x = x + gqa(m, i, norm(x), TURN, gate=32)
            x = x + dense(m, i, norm(x))
        return norm(x)

    table = m.w("token_embd.weight", VOCAB, D, std=1.0)
    high = table[IDS] * 2.0
    low = np.tile(m.w("hrm.z_l_init", D, std=1.0), (T, 1))
    for _ in range(2):
        for _ in range(2):
            low = stack(0, high + low)
        high = stack(2, high + low)
    return m, high @ table.T


@case
def ernie_steps():
    """Experts in every second layer after the first."""
    m = Maker("ernie4_5-moe", 115, RMS | EXPERTS | {
        "block_count": 4, "leading_dense_block_count": 1, "interleave_moe_layer_step": 2,
        "expert_shared_feed_forward_length": 20, "expert_weights_scale": 9.0})

    def ffn(i, x):
        if i % 2 == 0:
            return dense(m, i, x)
        return experts(m, i, x, select_bias=True) + shared(m, i, x, 20)

    return m, run(m, pre_norm(lambda i, x: gqa(m, i, x, PAIRS), ffn), n_layers=4)


@case
def llada_moe_experts():
    """Every token sees all; 2 of 4 experts whose weights are not normalised."""
    m = Maker("llada-moe", 116, RMS | EXPERTS)
    layer = pre_norm(lambda i, x: gqa(m, i, x, TURN, qk_norm="head", causal=False),
                     lambda i, x: experts(m, i, x, normalise=False))
    return m, run(m, layer, tied=False)


@case
def arctic_experts():
    """2 of 4 experts that read the layer's input beside a small dense feed-forward."""
    m = Maker("arctic", 117, RMS | {"expert_count": 4, "expert_used_count": 2,
                                    "feed_forward_length": 8})

    def layer(i, x, norm):
        b = f"blk.{i}."
        y = x + gqa(m, i, norm(b + "attn_norm", x), PAIRS)
        return (y + dense(m, i, norm(b + "ffn_norm", y), n_ff=D) +
                experts(m, i, norm(b + "ffn_norm_exps", x)))

    return m, run(m, layer)


@case
def dbrx_clamp():
    """Clamped queries, keys and values; 2 of 4 experts."""
    m = Maker("dbrx", 118, LAYER | {"expert_count": 4, "expert_used_count": 2,
                                    "feed_forward_length": 8, "attention.clamp_kqv": 1.5})

    def layer(i, x, norm):
        y = x + gqa(m, i, norm(f"blk.{i}.attn_norm", x), TURN, clamp=1.5)
        return y + experts(m, i, norm(f"blk.{i}.attn_output_norm", y))

    norm = lambda name, v: layer_norm(v, m.norm_w(name + ".weight", D), 0)
    return m, run(m, layer, norm=norm, tied=False)
