"""Tiny random models and their forward pass in NumPy, in double precision: what the models of the
other modules here are made of."""
import math

import numpy as np
from gguf import GGUFValueType, GGUFWriter

IDS = [3, 17, 64, 5, 99, 120, 33, 7, 7, 42, 81, 2, 110, 9, 55, 23, 76, 100, 1, 88, 12, 64, 31, 127]
VOCAB, D, T = 128, 32, len(IDS)
CASES = {}


def case(make):
    """Registers a function that gives a Maker and its logits, under its name with dashes."""
    CASES[make.__name__.replace("_", "-")] = make
    return make


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

    def add_more(self, writer):
        """Further metadata, for makers of a special kind."""

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
            elif any(isinstance(v, int) and v >= 2**31 for v in value):
                writer.add_key_value(name, value, GGUFValueType.ARRAY, GGUFValueType.INT64)
            else:
                writer.add_array(name, value)
        self.add_more(writer)
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
        y[..., first:first + 2 * n:2] = p * c - q * s
        y[..., first + 1:first + 2 * n:2] = p * s + q * c
    return y


def slope(h, heads, max_bias):
    """The linear bias of a head, also where their number is no power of two."""
    n = 1 << (heads.bit_length() - 1)
    return 2.0 ** (-max_bias * ((h + 1) / n if h < n else (2 * (h - n) + 1) / (2 * n)))


def attend(q, k, v, scale, window=0, cap=0.0, sinks=None, max_bias=0.0, causal=True):
    heads, shared = q.shape[1], q.shape[1] // k.shape[1]
    p, j = np.arange(T)[:, None], np.arange(T)[None]
    hidden = ((j > p) & causal) | ((p - j >= window) if window else False)
    out = np.zeros((T, heads, v.shape[-1]))
    for h in range(heads):
        score = q[:, h] @ k[:, h // shared].T * scale
        if cap:
            score = cap * np.tanh(score / cap)
        if max_bias:
            score = score - slope(h, heads, max_bias) * (p - j)
        score = np.where(hidden, -np.inf, score)
        if sinks is None:
            weight = softmax(score)
        else:
            one_more = np.concatenate([score, np.full((T, 1), sinks[h])], 1)
            weight = softmax(one_more)[:, :-1]
        out[:, h] = weight @ v[:, h // shared]
    return out.reshape(T, -1)


def gqa(m, i, x, turn, heads=4, kv=2, dim=8, v_dim=None, bias=False, qk_norm=None, out_bias=False,
        scale=None, sinks=False, fused=False, clamp=0.0, gate=None, gate_act=sigmoid, after=None,
        **kw):
    """turn(x) rotates [T, heads, dim] or returns it as it is; after(q, k) changes both last. gate
    is the number of factors gate_act(x) of the heads' output."""
    b, v_dim = f"blk.{i}.", v_dim or dim
    widths = {"q": heads * dim, "k": kv * dim, "v": kv * v_dim}

    def part(name, n):
        y = x @ m.w(b + f"attn_{name}.weight", n, D, std=2.5 / math.sqrt(D)).T
        return y + m.w(b + f"attn_{name}.bias", n, std=0.3) if bias else y

    if fused:
        q, k, v = np.split(part("qkv", sum(widths.values())),
                           [widths["q"], widths["q"] + widths["k"]], -1)
    else:
        q, k, v = (part(name, n) for name, n in widths.items())
    if clamp:
        q, k, v = (np.clip(y, -clamp, clamp) for y in (q, k, v))
    if qk_norm == "row":
        q = rms(q, m.norm_w(b + "attn_q_norm.weight", heads * dim))
        k = rms(k, m.norm_w(b + "attn_k_norm.weight", kv * dim))
    if qk_norm == "layer row":
        q = layer_norm(q, m.norm_w(b + "attn_q_norm.weight", heads * dim), 0)
        k = layer_norm(k, m.norm_w(b + "attn_k_norm.weight", kv * dim), 0)
    q, k, v = q.reshape(T, heads, dim), k.reshape(T, kv, dim), v.reshape(T, kv, v_dim)
    if qk_norm == "head":
        q = rms(q, m.norm_w(b + "attn_q_norm.weight", dim))
        k = rms(k, m.norm_w(b + "attn_k_norm.weight", dim))
    if qk_norm == "layer":  # each head with weights of its own
        q = layer_norm(q, m.norm_w(b + "attn_q_norm.weight", heads, dim), 0)
        k = layer_norm(k, m.norm_w(b + "attn_k_norm.weight", kv, dim), 0)
    s = m.w(b + "attn_sinks.weight", heads, std=1.0) if sinks else None
    q, k = turn(q), turn(k)
    if after:
        q, k = after(q, k)
    y = attend(q, k, v, scale or dim**-0.5, sinks=s, **kw)
    if gate:
        y = y * np.repeat(gate_act(x @ m.w(b + "attn_gate.weight", gate, D).T),
                          heads * v_dim // gate, -1)
    y = y @ m.w(b + "attn_output.weight", D, heads * v_dim).T
    return y + m.w(b + "attn_output.bias", D, std=0.3) if out_bias else y


LATENT_ROPE = 8


def latent_keys(absorbed, heads=3, nope=12, v_dim=10, rank=16, q_rank=20):
    """The metadata of latent() with its sizes."""
    keys = {"attention.head_count": heads, "attention.head_count_kv": 1 if absorbed else heads,
            "attention.kv_lora_rank": rank, "attention.q_lora_rank": q_rank,
            "rope.dimension_count": LATENT_ROPE}
    if not absorbed:
        return keys | {"attention.key_length": nope + LATENT_ROPE, "attention.value_length": v_dim}
    return keys | {"attention.key_length_mla": nope + LATENT_ROPE,
                   "attention.value_length_mla": v_dim,
                   "attention.key_length": rank + LATENT_ROPE, "attention.value_length": rank}


def latent(m, i, x, turn, absorbed, score_magnitude=1.0, heads=3, nope=12, v_dim=10, rank=16,
           q_rank=20):
    """turn(x, first) rotates the dims [first, first + LATENT_ROPE) of [T, heads, dim]."""
    b, k_dim = f"blk.{i}.attn_", nope + LATENT_ROPE
    q = rms(x @ m.w(b + "q_a.weight", q_rank, D).T, m.norm_w(b + "q_a_norm.weight", q_rank))
    q = (q @ m.w(b + "q_b.weight", heads * k_dim, q_rank).T).reshape(T, heads, k_dim)
    q = turn(q, nope)
    kv = x @ m.w(b + "kv_a_mqa.weight", rank + LATENT_ROPE, D).T
    c = rms(kv[:, :rank], m.norm_w(b + "kv_a_norm.weight", rank))
    k_rope = turn(kv[:, None, rank:], 0)
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
    y = attend(q, k, v, score_magnitude**2 / math.sqrt(k_dim))
    return y @ m.w(b + "output.weight", D, heads * v_dim).T


def dense(m, i, x, act=silu, n_ff=48, gated=True, fused=False, suffix="", divisors=False):
    b = f"blk.{i}.ffn_"
    if fused:
        both = x @ m.w(b + "up.weight", 2 * n_ff, D).T
        hidden = act(both[:, :n_ff]) * both[:, n_ff:]
    elif gated:
        hidden = act(x @ m.w(b + f"gate{suffix}.weight", n_ff, D).T)
        hidden = hidden * (x @ m.w(b + f"up{suffix}.weight", n_ff, D).T)
    else:
        hidden = act(x @ m.w(b + f"up{suffix}.weight", n_ff, D).T)
    if divisors:
        hidden = hidden / m.w(f"blk.{i}.ffn.act.scales", n_ff, std=0.5, around=2.0)
    return hidden @ m.w(b + f"down{suffix}.weight", D, n_ff).T


def swiglu_oai(g, u):
    g, u = np.minimum(g, 7), np.clip(u, -7, 7)
    return g * sigmoid(1.702 * g) * (u + 1)


def moe(m, i, x, n=8, used=3, n_ff=24, kind="softmax", select_bias=False, groups=(1, 1),
        normalise=True, scale=1.0, biases=False, oai=False, fused=False, act=silu, routed=None,
        by_logit=False, weigh_input=False, limit=0.0, bias_name="exp_probs_b.bias"):
    """routed: what the router reads, if not x. by_logit: it chooses by the logits. weigh_input: its
    weight multiplies what the expert reads."""
    b = f"blk.{i}."
    routed = x if routed is None else routed
    logits = routed @ m.w(b + "ffn_gate_inp.weight", n, D, std=4 / math.sqrt(D)).T
    if biases:
        logits = logits + m.w(b + "ffn_gate_inp.bias", n, std=0.5)
    prob = {"softmax": softmax, "sigmoid": sigmoid, "after": lambda v: v}[kind](logits)
    choice = logits if by_logit else prob
    if select_bias:
        choice = choice + m.w(b + bias_name, n, std=0.3)
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
            read, share = (x[t] * share, 1.0) if weigh_input else (x[t], share)
            u = up[e] @ read + (bias["up"][e] if biases else 0)
            if fused:
                g, u = u[:n_ff], u[n_ff:]
            else:
                g = gate[e] @ read + (bias["gate"][e] if biases else 0)
            if limit:
                g, u = np.minimum(g, limit), np.clip(u, -limit, limit)
            h = swiglu_oai(g, u) if oai else act(g) * u
            y[t] += share * (down[e] @ h + (bias["down"][e] if biases else 0))
    return y


def run(m, layer, norm=None, embed_scale=1.0, tied=True, cap=0.0, logit_scale=1.0, n_layers=2,
        embed=None, out_bias=False):
    """embed(x) changes the embedding."""
    norm = norm or (lambda name, v: rms(v, m.norm_w(name + ".weight", D)))
    table = m.w("token_embd.weight", VOCAB, D, std=1.0)
    x = table[IDS] * embed_scale
    x = embed(x) if embed else x
    for i in range(n_layers):
        x = layer(i, x, norm)
    out = table if tied else m.w("output.weight", VOCAB, D)
    logits = norm("output_norm", x) @ out.T
    logits = (logits + m.w("output.bias", VOCAB, std=0.5) if out_bias else logits) * logit_scale
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


def with_bias(m):
    return lambda name, v: layer_norm(v, m.norm_w(name + ".weight", D),
                                      m.w(name + ".bias", D, std=0.2))
