"""Mamba in JAX on a CPU, written from the equations: the scan is jax.lax.associative_scan over (leak, drive). Answers lines with
lines: see scripts/bench/mamba-cpu.js.

    python mamba_jax.py <model.safetensors> <ids.npy>
"""
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

p0 = {k: jnp.asarray(v) for k, v in load_file(sys.argv[1]).items()}
ids = jnp.asarray(np.load(sys.argv[2]))
layers = 1 + max(int(k.split(".")[2]) for k in p0 if k.startswith("backbone.layers"))


def norm(x, w):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * w


def combine(left, right):
    return left[0] * right[0], right[0] * left[1] + right[1]


def block(p, u, i):
    q = lambda name: p[f"backbone.layers.{i}.mixer.{name}"]
    inner, taps = q("conv1d.weight").shape[0], q("conv1d.weight").shape[2]
    states, rank = q("A_log").shape[1], q("dt_proj.weight").shape[1]
    x, z = jnp.split(u @ q("in_proj.weight").T, [inner], -1)
    padded = jnp.pad(x, ((0, 0), (taps - 1, 0), (0, 0)))
    w = q("conv1d.weight")[:, 0]
    x = q("conv1d.bias") + sum(padded[:, k : k + u.shape[1]] * w[:, k] for k in range(taps))
    x = jax.nn.silu(x)
    low, B, C = jnp.split(x @ q("x_proj.weight").T, [rank, rank + states], -1)
    delta = jax.nn.softplus(low @ q("dt_proj.weight").T + q("dt_proj.bias"))
    leak = jnp.exp(delta[..., None] * -jnp.exp(q("A_log")))
    drive = (delta * x)[..., None] * B[:, :, None]
    _, h = jax.lax.associative_scan(combine, (leak, drive), axis=1)
    y = jnp.einsum("btdn,btn->btd", h, C) + q("D") * x
    return (y * jax.nn.silu(z)) @ q("out_proj.weight").T


def loss(p):
    r = p["backbone.embedding.weight"][ids]
    for i in range(layers):
        r = r + block(p, norm(r, p[f"backbone.layers.{i}.norm.weight"]), i)
    logits = norm(r, p["backbone.norm_f.weight"]) @ p["backbone.embedding.weight"].T
    scores = jax.nn.log_softmax(logits[:, :-1])
    return -jnp.mean(jnp.take_along_axis(scores, ids[:, 1:, None], -1))


def adam(p, m, v, t):
    value, g = jax.value_and_grad(loss)(p)
    new = lambda f, *trees: jax.tree.map(f, *trees)
    m = new(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = new(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    rate = 0.0
    p = new(lambda p, m, v: p - rate * m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
    return value, p, m, v


forward_jit = jax.jit(loss)
adam_jit = jax.jit(adam, donate_argnums=(0, 1, 2))
zeros = lambda: jax.tree.map(jnp.zeros_like, p0)
state = (jax.tree.map(jnp.copy, p0), zeros(), zeros())
steps = 0


def forward():
    return float(forward_jit(p0))


def step():
    global state, steps
    steps += 1
    value, *state = adam_jit(*state, float(steps))
    return float(value)


def times(run, count):
    out = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        out.append((time.perf_counter() - start) * 1e3)
    return out


first = forward()
step()
print(json.dumps({"ready": f"JAX {jax.__version__}, associative_scan", "loss": first}), flush=True)
for line in sys.stdin:
    count = int(line)
    print(json.dumps({"forward": times(forward, count), "step": times(step, count)}), flush=True)
