"""Models with delta nets, and the residual streams that some of them have."""
import math

import numpy as np

from .forward import (D, IDS, RMS, T, VOCAB, Maker, angles, attend, case, dense, moe, pre_norm, rms,
                      rotate, run, sigmoid, silu, softmax)
from .state_spaces import bare_rms, conv, negative, softplus, taps_of


def unit(x, eps=1e-5):
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + eps)


def delta_rule(q, k, v, log_decay, beta):
    """q, k: [T, heads, keys]; log_decay: [T, heads, keys or 1]; state: [heads, keys, values]."""
    state = np.zeros((q.shape[1], q.shape[2], v.shape[2]))
    y = np.zeros_like(v)
    for t in range(T):
        state = np.exp(log_decay[t])[:, :, None] * state
        error = beta[t][:, None] * (v[t] - np.einsum("hkv,hk->hv", state, k[t]))
        state = state + k[t][:, :, None] * error[:, None, :]
        y[t] = np.einsum("hkv,hk->hv", state, q[t]) / math.sqrt(q.shape[2])
    return y


DELTA = {"ssm.inner_size": 24, "ssm.conv_kernel": 4, "ssm.state_size": 6, "ssm.time_step_rank": 4,
         "ssm.group_count": 2, "full_attention_interval": 2}


def qwen_delta(m, i, x, tiled, fused, gate=silu, heads=4, k_heads=2, dim=6, taps=4):
    b, share = f"blk.{i}.", heads // k_heads
    n_k, n_v = k_heads * dim, heads * dim
    if fused:  # per key head [q | k | v | z] and [beta | alpha]
        parts = (x @ m.w(b + "ssm_in.weight", 2 * n_k + 2 * n_v, D).T).reshape(T, k_heads, -1)
        parts = np.split(parts, [dim, 2 * dim, 2 * dim + share * dim], axis=2)
        q, k, v, z = (p.reshape(T, -1) for p in parts)
        both = (x @ m.w(b + "ssm_ba.weight", 2 * heads, D).T).reshape(T, k_heads, 2, share)
        beta, alpha = both[:, :, 0].reshape(T, heads), both[:, :, 1].reshape(T, heads)
    else:
        qkv = x @ m.w(b + "attn_qkv.weight", 2 * n_k + n_v, D).T
        q, k, v = np.split(qkv, [n_k, 2 * n_k], axis=1)
        z = x @ m.w(b + "attn_gate.weight", n_v, D).T
        beta = x @ m.w(b + "ssm_beta.weight", heads, D).T
        alpha = x @ m.w(b + "ssm_alpha.weight", heads, D).T
    mixed = np.concatenate([q, k, v], axis=1)
    mixed = silu(conv(mixed, taps_of(m, b + "ssm_conv1d.weight", 2 * n_k + n_v, taps)))
    q, k, v = (p.reshape(T, -1, dim) for p in np.split(mixed, [n_k, 2 * n_k], axis=1))
    of_head = np.arange(heads) % k_heads if tiled else np.arange(heads) // share
    decay = softplus(alpha + m.w(b + "ssm_dt.bias", heads)) * negative(m, b + "ssm_a", heads)
    y = delta_rule(unit(q)[:, of_head], unit(k)[:, of_head], v, decay[:, :, None], sigmoid(beta))
    y = rms(y, m.norm_w(b + "ssm_norm.weight", dim)) * gate(z).reshape(y.shape)
    return y.reshape(T, -1) @ m.w(b + "ssm_out.weight", D, n_v).T


def gated_gqa(m, i, x, turn, heads=4, kv=2, dim=12, bias=False):
    b = f"blk.{i}.attn_"
    q = (x @ m.w(b + "q.weight", 2 * heads * dim, D, std=2.5 / math.sqrt(D)).T)
    k = (x @ m.w(b + "k.weight", kv * dim, D, std=2.5 / math.sqrt(D)).T).reshape(T, kv, dim)
    v = (x @ m.w(b + "v.weight", kv * dim, D).T).reshape(T, kv, dim)
    q = q + (m.w(b + "q.bias", 2 * heads * dim, std=0.3) if bias else 0)
    q, gate = np.split(q.reshape(T, heads, 2 * dim), 2, axis=2)
    q = turn(rms(q, m.norm_w(b + "q_norm.weight", dim)))
    k = turn(rms(k, m.norm_w(b + "k_norm.weight", dim)))
    y = attend(q, k, v, dim**-0.5) * sigmoid(gate.reshape(T, -1))
    return y @ m.w(b + "output.weight", D, heads * dim).T


def shared_experts(m, i, x, **kw):
    gate = sigmoid(x @ m.w(f"blk.{i}.ffn_gate_inp_shexp.weight", D, std=0.5))[:, None]
    return (moe(m, i, x, n=6, used=2, n_ff=12, **kw) + gate * dense(m, i, x, n_ff=20, suffix="_shexp"))


def qwen_layer(m, delta, attention, ffn):
    def layer(i, x, norm):
        x = x + (attention if i else delta)(i, norm(f"blk.{i}.attn_norm", x))
        return x + ffn(i, norm(f"blk.{i}.post_attention_norm", x))
    return layer


HEADS = {"attention.key_length": 12, "attention.value_length": 12}
EXPERTS = {"expert_count": 6, "expert_used_count": 2, "expert_feed_forward_length": 12,
           "expert_shared_feed_forward_length": 20}


@case
def qwen3next_fused():
    """Projections interleaved by key head, neighbours share a key head, partial rope."""
    m = Maker("qwen3next", 51, RMS | DELTA | HEADS | EXPERTS | {"rope.dimension_count": 8})
    a = angles(8)
    layer = qwen_layer(m, lambda i, x: qwen_delta(m, i, x, False, True),
                       lambda i, x: gated_gqa(m, i, x, lambda v: rotate(v, a, True), bias=True),
                       lambda i, x: shared_experts(m, i, x))
    return m, run(m, layer)


def interleaved_sections(a, sections):
    """Pairs of the fourth section do not turn."""
    at = np.arange(len(a)) % sum(sections)
    return np.where(at < 3 * np.array(sections)[at % 3], a, 0.0)


@case
def qwen35_sections():
    """Key heads repeat, sections that leave pairs unturned."""
    m = Maker("qwen35", 52, RMS | DELTA | HEADS | {"rope.dimension_count": 12,
                                                   "rope.dimension_sections": [2, 2, 1, 1]})
    a = interleaved_sections(angles(12), [2, 2, 1, 1])
    layer = qwen_layer(m, lambda i, x: qwen_delta(m, i, x, True, False),
                       lambda i, x: gated_gqa(m, i, x, lambda v: rotate(v, a, True)),
                       lambda i, x: dense(m, i, x))
    return m, run(m, layer, tied=False)


@case
def qwen35moe_experts():
    """As qwen35, with 2 of 6 experts whose gate and up are one tensor."""
    m = Maker("qwen35moe", 53, RMS | DELTA | HEADS | EXPERTS | {
        "rope.dimension_sections": [2, 2, 2, 0]})
    a = interleaved_sections(angles(12), [2, 2, 2, 0])
    layer = qwen_layer(m, lambda i, x: qwen_delta(m, i, x, True, False),
                       lambda i, x: gated_gqa(m, i, x, lambda v: rotate(v, a, True)),
                       lambda i, x: shared_experts(m, i, x, fused=True))
    return m, run(m, layer)


def kimi_delta(m, i, x, bound=None, heads=2, dim=6, taps=4, gate="low", decay="low", sign=1.0):
    b, n = f"blk.{i}.", heads * dim

    def part(name):
        y = x @ m.w(b + f"attn_{name}.weight", n, D).T
        w = m.w(b + f"ssm_conv1d_{name}.weight", n, 1, taps, std=0.8)[:, 0]
        return silu(conv(y, w)).reshape(T, heads, dim)

    def low_rank(name, kind, rank=10):
        if kind == "full":
            return x @ m.w(b + f"ssm_{name}.weight", n, D).T
        low = x @ m.w(b + f"ssm_{name}_a.weight", rank, D).T
        return low @ m.w(b + f"ssm_{name}_b.weight", n, rank).T

    q, k, v = part("q"), part("k"), part("v")
    f = (low_rank("f", "low") if decay == "low" else x @ m.w(b + "ssm_f_a.weight", n, D).T)
    f = (f + m.w(b + "ssm_dt.bias", n)).reshape(T, heads, dim)
    a = m.w(b + "ssm_a", 1, heads, std=0.3, around=-1.0 if sign < 0 or bound is None else 1.0)
    a = a.reshape(heads, 1)
    log_decay = a * softplus(f) if bound is None else bound * sigmoid(sign * a * f)
    beta = sigmoid(x @ m.w(b + "ssm_beta.weight", heads, D).T)
    y = rms(delta_rule(unit(q), unit(k), v, log_decay, beta), m.norm_w(b + "ssm_norm.weight", dim))
    g = (x @ m.w(b + "ssm_g_a.weight", n, D).T if gate == "only_a" else low_rank("g", gate))
    return (y.reshape(T, n) * sigmoid(g)) @ m.w(b + "attn_output.weight", D, n).T


def absorbed(m, i, x, turn, heads=2, rank=16, nope=8, rope=6, v_dim=10, q_rank=0, gate=None):
    """Latent attention; gate: "head", or "value" for a factor per value."""
    b = f"blk.{i}.attn_"
    if q_rank:
        low = rms(x @ m.w(b + "q_a.weight", q_rank, D).T, m.norm_w(b + "q_a_norm.weight", q_rank))
        q = low @ m.w(b + "q_b.weight", heads * (nope + rope), q_rank).T
    else:
        q = x @ m.w(b + "q.weight", heads * (nope + rope), D).T
    q = q.reshape(T, heads, nope + rope)
    both = x @ m.w(b + "kv_a_mqa.weight", rank + rope, D).T
    c = rms(both[:, :rank], m.norm_w(b + "kv_a_norm.weight", rank))
    k_rope = np.repeat(turn(both[:, None, rank:]), heads, 1)
    k = np.einsum("tr,hrn->thn", c, m.w(b + "k_b.weight", heads, rank, nope))
    v = np.einsum("tr,hvr->thv", c, m.w(b + "v_b.weight", heads, v_dim, rank))
    q = np.concatenate([q[..., :nope], turn(q[..., nope:])], 2)
    y = attend(q, np.concatenate([k, k_rope], 2), v, (nope + rope) ** -0.5)
    if gate == "head":
        factors = sigmoid(x @ m.w(b + "gate.weight", heads, D).T)
        y = y * np.repeat(factors, v_dim, 1)
    if gate == "value":
        y = y * sigmoid(x @ m.w(b + "gate.weight", heads * v_dim, D).T)
    return y @ m.w(b + "output.weight", D, heads * v_dim).T


KIMI = {"attention.head_count": 2, "attention.head_count_kv": [0, 1], "attention.key_length": 22,
        "attention.value_length": 16, "attention.kv_lora_rank": 16,
        "attention.key_length_mla": 14, "attention.value_length_mla": 10,
        "rope.dimension_count": 6, "ssm.conv_kernel": 4, "kda.head_dim": 6,
        "expert_count": 6, "expert_used_count": 2, "expert_feed_forward_length": 24,
        "expert_gating_func": 2, "leading_dense_block_count": 1}


@case
def kimi_linear_heads():
    """Two heads of both kinds, decays and gates of low rank, 2 of 6 experts with a bias."""
    m = Maker("kimi-linear", 54, RMS | KIMI | {"expert_shared_count": 2,
                                               "expert_weights_scale": 2.5})
    layer = pre_norm(
        lambda i, x: absorbed(m, i, x, lambda v: v) if i else kimi_delta(m, i, x),
        lambda i, x: moe(m, i, x, n=6, used=2, kind="sigmoid", select_bias=True, scale=2.5) +
        dense(m, i, x, n_ff=48, suffix="_shexp") if i else dense(m, i, x))
    return m, run(m, layer, tied=False)


def clamped(limit):
    """SwiGLU whose activated gate and up are clamped; 0: not at all."""
    def act(g, u):
        return np.minimum(silu(g), limit) * np.clip(u, -limit, limit) if limit else silu(g) * u
    return act


def situ(g, u, beta=2.0, linear_beta=3.0):
    u = linear_beta * np.tanh(u / linear_beta) if linear_beta else u
    return beta * np.tanh(g / beta) * sigmoid(g) * u


def dense_of(m, i, x, act, n_ff=48, suffix=""):
    b = f"blk.{i}.ffn_"
    gate = x @ m.w(b + f"gate{suffix}.weight", n_ff, D).T
    up = x @ m.w(b + f"up{suffix}.weight", n_ff, D).T
    return act(gate, up) @ m.w(b + f"down{suffix}.weight", D, n_ff).T


def experts_of(m, i, x, act, n=6, used=2, n_ff=12, groups=(1, 1), normalise=True, scale=1.0,
               width=D, inside=None):
    """Sigmoid router with a bias; the experts read `inside` when it is given."""
    b = f"blk.{i}."
    prob = sigmoid(x @ m.w(b + "ffn_gate_inp.weight", n, D, std=4 / math.sqrt(D)).T)
    choice = prob + m.w(b + "exp_probs_b.bias", n, std=0.3)
    gate = m.w(b + "ffn_gate_exps.weight", n, n_ff, width)
    up = m.w(b + "ffn_up_exps.weight", n, n_ff, width)
    down = m.w(b + "ffn_down_exps.weight", n, width, n_ff)
    inside = x if inside is None else inside
    y = np.zeros((T, width))
    for t in range(T):
        score = choice[t].copy().reshape(groups[0], -1)
        best = np.sort(score, 1)[:, -2:].sum(1)
        score[np.argsort(-best, kind="stable")[groups[1]:]] = -np.inf
        chosen = np.argsort(-score.reshape(-1), kind="stable")[:used]
        weight = prob[t, chosen]
        if normalise:
            weight = weight / max(weight.sum(), 2.0**-14)
        for e, share in zip(chosen, weight * scale):
            y[t] += share * (down[e] @ act(gate[e] @ inside[t], up[e] @ inside[t]))
    return y


@case
def bailingmoe3_clamps():
    """Two heads of both kinds, interleaved rope, clamps, experts in groups."""
    m = Maker("bailingmoe3", 55, RMS | KIMI | {
        "kda.gate_lower_bound": -3.0, "expert_feed_forward_length": 12,
        "expert_shared_feed_forward_length": 20, "expert_weights_norm": True,
        "expert_weights_scale": 2.5, "expert_group_count": 3, "expert_group_used_count": 2,
        "swiglu_clamp_exp": [0.0, 0.5], "swiglu_clamp_shexp": [0.75, 0.25],
        "attention.q_lora_rank": 9})
    a = angles(6)

    def turn(v):
        return rotate(v, a, False)

    def ffn(i, x):
        if i == 0:
            return dense_of(m, i, x, clamped(0.75))
        return (experts_of(m, i, x, clamped(0.5), groups=(3, 2), scale=2.5) +
                dense_of(m, i, x, clamped(0.25), n_ff=20, suffix="_shexp"))

    layer = pre_norm(
        lambda i, x: absorbed(m, i, x, turn, q_rank=9, gate="head") if i
        else kimi_delta(m, i, x, bound=-3.0, gate="only_a", decay="only_a"), ffn)
    return m, run(m, layer)


@case
def kimi_k3_bank():
    """A checkpoint at every second of five layers, experts in a latent space, bounded decays."""
    m = Maker("kimi-k3", 56, RMS | KIMI | {
        "block_count": 5, "attention.head_count_kv": [0, 1, 0, 0, 1],
        "leading_dense_block_count": 3, "kda.gate_lower_bound": -3.0,
        "expert_feed_forward_length": 12, "expert_latent_length": 10, "attn_res.block_size": 2,
        "activation.situ_beta": 2.0, "activation.situ_linear_beta": 3.0,
        "expert_weights_norm": True, "expert_weights_scale": 1.5, "attention.q_lora_rank": 9,
        "feed_forward_length": 16})
    bank = []

    def mix(x, name):
        w = m.w(name + ".weight", D, std=0.4)
        v = np.stack(bank + [x])
        share = softmax((bare_rms(v) @ w).T)
        return np.einsum("tj,jtd->td", share, v)

    def ffn(i, x):
        b = f"blk.{i}.ffn_routed_"
        if i < 3:
            return dense_of(m, i, x, situ, n_ff=16)
        low = x @ m.w(b + "down.weight", 10, D).T
        y = experts_of(m, i, x, situ, width=10, inside=low, scale=1.5)
        y = rms(y, m.norm_w(b + "norm.weight", 10)) @ m.w(b + "up.weight", D, 10).T
        return y + dense_of(m, i, x, situ, n_ff=12, suffix="_shexp")

    def layer(i, x, norm):
        b = f"blk.{i}."
        n = norm(b + "attn_norm", mix(x, b + "attn_res_score"))
        y = (absorbed(m, i, n, lambda v: v, q_rank=9, gate="value") if i in (1, 4)
             else kimi_delta(m, i, n, bound=-3.0, gate="full", sign=-1.0))
        if i % 2 == 0:
            bank.append(x)
            x = y
        else:
            x = x + y
        x = x + ffn(i, norm(b + "ffn_norm", mix(x, b + "ffn_res_score")))
        return mix(x, "output_res_score") if i == 4 else x

    return m, run(m, layer, tied=False, n_layers=5)


@case
def qwen4exp_ngrams():
    """Three streams, 3-grams with hashes beyond 32 bits and an end within the text."""
    streams, rank, order, heads, width, taps, end = 3, 6, 3, 2, 8, 3, 7
    multipliers = [2654435761, 40503 * 2**31 + 1, 97531 * 2**40 + 3]
    counts, offsets = [31, 29, 23, 19], [0, 31, 60, 83]
    m = Maker("qwen4exp", 57, RMS | DELTA | HEADS | EXPERTS | {
        "rope.dimension_sections": [2, 2, 1, 1], "hyper_connection.count": streams,
        "hyper_connection.low_rank": rank, "attention.indexer.head_count": 2,
        "attention.indexer.key_length": 8, "attention.indexer.top_k": 99, "ple.layers": [0],
        "ple.ngram_size": order, "ple.heads_per_ngram": heads, "ple.conv_kernel": taps,
        "ple.eos_token_id": end, "ple.layer_multipliers": multipliers,
        "ple.head_offsets": offsets, "ple.head_vocab_sizes": counts,
        "embedding_length_per_layer_input": width})
    a = interleaved_sections(angles(12), [2, 2, 1, 1])

    def of_streams(x, name):
        return rms(x.reshape(T, streams, D), m.norm_w(name, streams, D))

    def mix(x, name, inject=True):
        u = of_streams(x, name + "_norm.weight").reshape(T, -1)
        low = silu(u @ m.w(name + "_down.weight", rank, streams * D).T / streams)
        gates = sigmoid(low @ m.w(name + "_up.weight", streams * D, rank).T)
        y = (u * gates).reshape(T, streams, D).mean(1)
        if not inject:
            return y
        shares = u @ m.w(name + "_inject.weight", streams, streams * D).T
        return y, 2 * sigmoid(shares / streams)[:, :, None]

    def ngrams(x):
        table = m.w("per_layer_token_embd.weight", 102, width, std=1.0)
        rows = []
        for t in range(T):
            seen, cut = [IDS[t]], False
            for j in range(1, order):
                token = IDS[t - j] if t >= j else end
                cut = cut or token == end
                seen.append(end if cut else token)
            for n in range(2, order + 1):
                value = 0
                for token, factor in zip(seen[:n], multipliers):
                    value ^= token * factor % 2**64
                for g in range(heads):
                    h = (n - 2) * heads + g
                    rows.append(value % counts[h] + offsets[h])
        e = table[rows].reshape(T, D)
        key = of_streams(e @ m.w("blk.0.ple_key.weight", streams * D, D).T,
                         "blk.0.ple_norm_key.weight")
        value = e @ m.w("blk.0.ple_value.weight", D, D).T
        score = (key * of_streams(x, "blk.0.ple_norm_query.weight")).sum(2) / math.sqrt(D)
        gate = sigmoid(np.sign(score) * np.sqrt(np.maximum(np.abs(score), 1e-6)))
        taken = gate[:, :, None] * value[:, None]
        u = of_streams(taken, "blk.0.ple_norm_conv.weight").reshape(T, -1)
        w = taps_of(m, "blk.0.ple_conv1d.weight", streams * D, taps)
        return x + taken + silu(conv(u, w, dilation=order)).reshape(T, streams, D)

    table = m.w("token_embd.weight", VOCAB, D, std=1.0)
    x = np.repeat(table[IDS][:, None], streams, 1)
    for i in range(2):
        if i == 0:
            x = ngrams(x)
        y, shares = mix(x, f"blk.{i}.hc_attn")
        y = (gated_gqa(m, i, y, lambda v: rotate(v, a, True)) if i
             else qwen_delta(m, i, y, True, False, gate=sigmoid))
        x = x + shares * y[:, None]
        y, shares = mix(x, f"blk.{i}.hc_ffn")
        x = x + shares * shared_experts(m, i, y)[:, None]
    m.w("blk.1.attn_q.bias", 96)  # is in the files, and has no effect
    return m, mix(x, "output_hc", False) @ table.T
