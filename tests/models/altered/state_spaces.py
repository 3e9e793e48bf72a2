"""Models with state spaces, short convolutions and lightning attention."""
import math

import numpy as np

from .forward import (D, RMS, T, Maker, angles, attend, case, dense, gqa, moe, pre_norm, rms,
                      rotate, run, sigmoid, silu)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def bare_rms(x):
    return rms(x, 1.0)


def conv(x, w, bias=0.0, dilation=1):
    """x: [T, channels], w: [channels, taps]; the last tap meets the present token."""
    taps = w.shape[1]
    y = np.zeros_like(x) + bias
    for j in range(taps):
        back = (taps - 1 - j) * dilation
        if back < T:
            y[back:] += x[:T - back] * w[:, j]
    return y


def taps_of(m, name, channels, taps):
    return m.w(name, channels, taps, std=0.8)


# ---- state spaces -------------------------------------------------------------------------------

def scan(x, dt, a, b, c, d):
    """x: [T, heads, dim]; dt: [T, heads]; a: [heads, states or 1]; b, c: [T, heads, states]."""
    state = np.zeros(x.shape[1:] + (b.shape[-1],))
    y = np.zeros_like(x)
    for t in range(T):
        decay = np.exp(dt[t][:, None] * a)[:, None, :]
        state = decay * state + (dt[t][:, None] * x[t])[:, :, None] * b[t][:, None, :]
        y[t] = np.einsum("hpn,hn->hp", state, c[t]) + d[:, None] * x[t]
    return y


def negative(m, name, *shape):
    return m.w(name, *shape, std=0.3, around=-1.0)


def mamba1(m, i, x, inner=64, states=6, rank=3, taps=4, norms=None):
    b = f"blk.{i}.ssm_"
    u, z = np.split(x @ m.w(b + "in.weight", 2 * inner, D).T, 2, axis=1)
    u = silu(conv(u, taps_of(m, b + "conv1d.weight", inner, taps),
                  m.w(b + "conv1d.bias", inner, std=0.3)))
    selected = u @ m.w(b + "x.weight", rank + 2 * states, inner).T
    low, key, query = np.split(selected, [rank, rank + states], axis=1)
    if norms == "bare":
        low, key, query = bare_rms(low), bare_rms(key), bare_rms(query)
    if norms == "own":
        low = rms(low, m.norm_w(b + "dt_norm.weight", rank))
        key = rms(key, m.norm_w(b + "b_norm.weight", states))
        query = rms(query, m.norm_w(b + "c_norm.weight", states))
    dt = softplus(low @ m.w(b + "dt.weight", inner, rank).T + m.w(b + "dt.bias", inner, std=0.5))
    every = (T, inner, states)
    y = scan(u[:, :, None], dt, negative(m, b + "a", inner, states),
             np.broadcast_to(key[:, None], every), np.broadcast_to(query[:, None], every),
             m.w(b + "d", inner, std=1.0))[:, :, 0]
    return (y * silu(z)) @ m.w(b + "out.weight", D, inner).T


def mamba2(m, i, x, heads=6, dim=8, groups=3, states=5, taps=4):
    b = f"blk.{i}.ssm_"
    inner, shared = heads * dim, heads // groups
    channels = inner + 2 * groups * states
    z, u, dt = np.split(x @ m.w(b + "in.weight", inner + channels + heads, D).T,
                        [inner, inner + channels], axis=1)
    u = silu(conv(u, taps_of(m, b + "conv1d.weight", channels, taps),
                  m.w(b + "conv1d.bias", channels, std=0.3)))
    u, key, query = np.split(u, [inner, inner + groups * states], axis=1)
    dt = softplus(dt + m.w(b + "dt.bias", heads, std=0.5))
    key, query = (np.repeat(v.reshape(T, groups, states), shared, 1) for v in (key, query))
    y = scan(u.reshape(T, heads, dim), dt, negative(m, b + "a", heads, 1), key, query,
             m.w(b + "d", heads, 1, std=1.0)[:, 0])
    y = (y.reshape(T, inner) * silu(z)).reshape(T, groups, inner // groups)
    y = rms(y, m.norm_w(b + "norm.weight", groups, inner // groups)).reshape(T, inner)
    return y @ m.w(b + "out.weight", D, inner).T


MAMBA2 = {"ssm.inner_size": 48, "ssm.conv_kernel": 4, "ssm.state_size": 5,
          "ssm.time_step_rank": 6, "ssm.group_count": 3}


def single(block):
    """A layer of one block."""
    return lambda i, x, norm: x + block(i, norm(f"blk.{i}.attn_norm", x))


@case
def mamba_norms():
    """Weightless norms of dt, b and c."""
    m = Maker("mamba", 41, RMS | {"ssm.inner_size": 64, "ssm.conv_kernel": 3, "ssm.state_size": 6,
                                  "ssm.time_step_rank": 3, "ssm.dt_b_c_rms": True})
    return m, run(m, single(lambda i, x: mamba1(m, i, x, taps=3, norms="bare")))


@case
def mamba2_groups():
    """Six heads in three groups; states that fill no vector."""
    m = Maker("mamba2", 42, RMS | MAMBA2)
    return m, run(m, single(lambda i, x: mamba2(m, i, x)))


@case
def jamba_experts():
    """Norms of dt, b and c; experts, without normalised weights, in the second layer only."""
    m = Maker("jamba", 43, RMS | {
        "ssm.inner_size": 64, "ssm.conv_kernel": 4, "ssm.state_size": 6, "ssm.time_step_rank": 3,
        "expert_count": 4, "expert_used_count": 2, "attention.head_count_kv": [0, 2],
        "feed_forward_length": 24})
    layer = pre_norm(
        lambda i, x: gqa(m, i, x, lambda v: v) if i else mamba1(m, i, x, norms="own"),
        lambda i, x: moe(m, i, x, n=4, used=2, normalise=False) if i
        else dense(m, i, x, n_ff=24))
    return m, run(m, layer)


@case
def granitehybrid_experts():
    """Granite's multipliers around Mamba 2 and experts."""
    m = Maker("granitehybrid", 44, RMS | MAMBA2 | {
        "attention.head_count_kv": [0, 2], "expert_count": 4, "expert_used_count": 2,
        "expert_shared_feed_forward_length": 20, "embedding_scale": 3.0, "residual_scale": 0.4,
        "attention.scale": 0.2, "logit_scale": 5.0, "feed_forward_length": 16})
    a = angles(8)

    def layer(i, x, norm):
        n = norm(f"blk.{i}.attn_norm", x)
        x = x + 0.4 * (gqa(m, i, n, lambda v: rotate(v, a, False), scale=0.2) if i
                       else mamba2(m, i, n))
        n = norm(f"blk.{i}.ffn_norm", x)
        return x + 0.4 * (moe(m, i, n, n=4, used=2, n_ff=16) +
                          dense(m, i, n, n_ff=20, suffix="_shexp"))

    return m, run(m, layer, embed_scale=3.0, logit_scale=1 / 5.0)


@case
def falcon_h1_heads():
    """Attention and Mamba 2 side by side, heads wider than d_model / n_heads."""
    m = Maker("falcon-h1", 45, RMS | MAMBA2 | {"attention.key_length": 12,
                                               "attention.value_length": 12})
    a = angles(12)

    def layer(i, x, norm):
        n = norm(f"blk.{i}.attn_norm", x)
        x = x + gqa(m, i, n, lambda v: rotate(v, a, True), dim=12) + mamba2(m, i, n)
        n = rms(x, m.norm_w(f"blk.{i}.ffn_norm", D))
        return x + dense(m, i, n)

    return m, run(m, layer)


def relu2(x):
    return np.maximum(x, 0) ** 2


def nemotron_moe(m, i, x, n=6, used=2, n_ff=24, latent=16):
    b = f"blk.{i}."
    prob = sigmoid(x @ m.w(b + "ffn_gate_inp.weight", n, D, std=4 / math.sqrt(D)).T)
    choice = prob + m.w(b + "exp_probs_b.bias", n, std=0.3)
    low = x @ m.w(b + "ffn_latent_down.weight", latent, D).T
    up = m.w(b + "ffn_up_exps.weight", n, n_ff, latent)
    down = m.w(b + "ffn_down_exps.weight", n, latent, n_ff)
    y = np.zeros_like(low)
    for t in range(T):
        chosen = np.argsort(-choice[t], kind="stable")[:used]
        weight = prob[t, chosen] / prob[t, chosen].sum() * 2.5
        for e, share in zip(chosen, weight):
            y[t] += share * (down[e] @ relu2(up[e] @ low[t]))
    return (y @ m.w(b + "ffn_latent_up.weight", D, latent).T +
            dense(m, i, x, act=relu2, n_ff=20, gated=False, suffix="_shexp"))


@case
def nemotron_h_moe_latent():
    """Mamba 2, attention and a mixture in a latent space, one block per layer."""
    m = Maker("nemotron_h_moe", 46, MAMBA2 | {
        "attention.layer_norm_epsilon": 1e-5, "block_count": 3, "feed_forward_length": [0, 0, 48],
        "attention.head_count_kv": [0, 2, 0], "expert_count": 6, "expert_used_count": 2,
        "expert_feed_forward_length": 24, "expert_shared_feed_forward_length": 20,
        "expert_weights_norm": True, "expert_weights_scale": 2.5, "moe_latent_size": 16})
    blocks = [lambda i, x: mamba2(m, i, x), lambda i, x: gqa(m, i, x, lambda v: v, bias=True,
                                                             out_bias=True),
              lambda i, x: nemotron_moe(m, i, x)]
    return m, run(m, single(lambda i, x: blocks[i](i, x)), n_layers=3, tied=False)


@case
def plamo2_heads():
    """Six heads of the state space; key heads of attention are shared."""
    m = Maker("plamo2", 47, RMS | {
        "ssm.inner_size": 48, "ssm.conv_kernel": 4, "ssm.state_size": 5, "ssm.time_step_rank": 6,
        "ssm.group_count": 0, "attention.head_count_kv": [0, 2]})
    a = angles(8)
    heads, dim, states, rank = 6, 8, 5, 64

    def space(i, x):
        b = f"blk.{i}.ssm_"
        both = (x @ m.w(b + "in.weight", 96, D).T).reshape(T, heads, 2, dim)
        z, u = both[:, :, 0], both[:, :, 1].reshape(T, 48)
        u = silu(conv(u, taps_of(m, b + "conv1d.weight", 48, 4)))
        key, query, low = np.split(u @ m.w(b + "x.weight", 2 * states + rank, 48).T,
                                   [states, 2 * states], axis=1)
        key = rms(key, m.norm_w(b + "b_norm", states))
        query = rms(query, m.norm_w(b + "c_norm", states))
        low = rms(low, m.norm_w(b + "dt_norm", rank))
        dt = softplus(low @ m.w(b + "dt.weight", heads, rank).T + m.w(b + "dt.bias", heads))
        every = (T, heads, states)
        y = scan(u.reshape(T, heads, dim), dt, negative(m, b + "a", heads)[:, None],
                 np.broadcast_to(key[:, None], every), np.broadcast_to(query[:, None], every),
                 m.w(b + "d", heads))
        return (y * silu(z)).reshape(T, 48) @ m.w(b + "out.weight", D, 48).T

    def attention(i, x):
        b = f"blk.{i}.attn_"
        qkv = x @ m.w(b + "qkv.weight", 64, D, std=2.5 / math.sqrt(D)).T
        q, k, v = (p.reshape(T, -1, 8) for p in np.split(qkv, [32, 48], axis=1))
        q = rotate(rms(q, m.norm_w(b + "q_norm.weight", 4, 8)), a, True)
        k = rotate(rms(k, m.norm_w(b + "k_norm.weight", 2, 8)), a, True)
        return attend(q, k, v, 8**-0.5) @ m.w(b + "output.weight", D, 32).T

    def layer(i, x, norm):
        y = (attention if i else space)(i, norm(f"blk.{i}.attn_norm", x))
        x = x + rms(y, m.norm_w(f"blk.{i}.post_attention_norm", D))
        y = dense(m, i, norm(f"blk.{i}.ffn_norm", x), fused=True)
        return x + rms(y, m.norm_w(f"blk.{i}.post_ffw_norm", D))

    return m, run(m, layer)


# ---- short convolution --------------------------------------------------------------------------

def short_conv(m, i, x, taps):
    b = f"blk.{i}.shortconv."
    first, second, u = np.split(x @ m.w(b + "in_proj.weight", 3 * D, D).T, 3, axis=1)
    y = second * conv(first * u, taps_of(m, b + "conv.weight", D, taps))
    return y @ m.w(b + "out_proj.weight", D, D).T


def lfm2(arch, seed, keys, ffn, **kw):
    m = Maker(arch, seed, RMS | {"shortconv.l_cache": 4, "attention.head_count_kv": [0, 2]} | keys)
    a = angles(8)
    layer = pre_norm(
        lambda i, x: gqa(m, i, x, lambda v: rotate(v, a, True), qk_norm="head", **kw) if i
        else short_conv(m, i, x, 4), lambda i, x: ffn(m, i, x))

    def norm(name, v):
        name = "token_embd_norm" if name == "output_norm" else name
        return rms(v, m.norm_w(name + ".weight", D))

    return m, run(m, layer, norm=norm)


@case
def lfm2_window():
    """A window in the attention layers; four taps."""
    return lfm2("lfm2", 48, {"attention.sliding_window": 8}, dense, window=8)


@case
def lfm2moe_experts():
    """2 of 6 experts, chosen with a bias, after a dense layer."""
    return lfm2("lfm2moe", 49, {
        "leading_dense_block_count": 1, "expert_feed_forward_length": 24, "expert_count": 6,
        "expert_used_count": 2, "expert_gating_func": 2},
        lambda m, i, x: moe(m, i, x, n=6, used=2, kind="sigmoid", select_bias=True) if i
        else dense(m, i, x))


# ---- lightning attention ------------------------------------------------------------------------

@case
def minimax_interval():
    """Six heads of lightning attention, full attention in every second layer, 3 of 8 experts."""
    m = Maker("minimax-01", 50, RMS | {
        "attention.head_count": 6, "attention.key_length": 8, "attention.value_length": 8,
        "full_attention_interval": 2, "residual_scale": 1.5, "expert_count": 8,
        "expert_used_count": 3, "feed_forward_length": 8, "rope.dimension_count": 4,
        "block_count": 3})
    a, heads, dim = angles(4), 6, 8

    def lightning(i, x):
        b = f"blk.{i}.attn_"
        qkv = silu(x @ m.w(b + "qkv.weight", 3 * heads * dim, D).T).reshape(T, heads, 3, dim)
        first = 2.0 ** -(2.0 ** -(math.log2(heads) - 3))
        slopes = first ** (np.arange(heads) + 1) * (1 - i / 2 + 1e-5)
        every = np.ones((T, heads))
        y = scan(qkv[:, :, 2], every, -slopes[:, None], qkv[:, :, 1], qkv[:, :, 0],
                 np.zeros(heads)).reshape(T, heads * dim)
        y = rms(y, m.norm_w(b + "norm_2.weight", heads * dim))
        y = y * sigmoid(x @ m.w(b + "gate.weight", heads * dim, D).T)
        return y @ m.w(b + "output.weight", D, heads * dim).T

    def layer(i, x, norm):
        n = norm(f"blk.{i}.attn_norm", x)
        y = gqa(m, i, n, lambda v: rotate(v, a, True), heads=6) if i == 1 else lightning(i, n)
        n = norm(f"blk.{i}.ffn_norm", y + 1.5 * n)
        return moe(m, i, n, n_ff=8) + 1.5 * n

    return m, run(m, layer, n_layers=3)
