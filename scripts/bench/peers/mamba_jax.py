"""Mamba in JAX, written from the equations: the scan is jax.lax.associative_scan over (leak, drive), over the whole length or in
chunks of 256 or 64 steps that lax.scan walks through, leak and drive made chunk by chunk, and again for the gradient. Forward
pass and training step are one jit each. See mamba_common.py.

    python mamba_jax.py <model.safetensors> <ids.npy> [--device cpu] [--scan whole]
"""
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import numpy as np
from mamba_common import arguments, parameters, serve

options = arguments(["whole", "256", "64"])
if options.device == "cpu":
    os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

p0 = {k: jnp.asarray(v) for k, v in parameters(options.weights).items()}
ids = jnp.asarray(np.load(options.ids))
layers = 1 + max(int(k.split(".")[2]) for k in p0 if k.startswith("backbone.layers"))


def norm(x, w):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * w


def combine(left, right):
    return left[0] * right[0], right[0] * left[1] + right[1]


def stretch(h, delta, x, B, C, A):
    """y of some steps and the state after them, from the state before."""
    leak = jnp.exp(delta[..., None] * A)
    drive = (delta * x)[..., None] * B[:, :, None]
    if h is not None:
        drive = drive.at[:, 0].add(leak[:, 0] * h)
    _, hs = jax.lax.associative_scan(combine, (leak, drive), axis=1)
    return hs[:, -1], jnp.einsum("btdn,btn->btd", hs, C)


def scan(chunk, delta, x, B, C, A):
    if chunk >= x.shape[1]:
        return stretch(None, delta, x, B, C, A)[1]
    cut = lambda v: jnp.moveaxis(v.reshape(v.shape[0], -1, chunk, v.shape[2]), 1, 0)
    start = jnp.zeros((x.shape[0], x.shape[2], A.shape[1]), x.dtype)
    body = jax.checkpoint(lambda h, parts: stretch(h, *parts, A))
    _, y = jax.lax.scan(body, start, tuple(cut(v) for v in (delta, x, B, C)))
    return jnp.moveaxis(y, 0, 1).reshape(x.shape)


def block(chunk, p, u, i):
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
    y = scan(chunk, delta, x, B, C, -jnp.exp(q("A_log"))) + q("D") * x
    return (y * jax.nn.silu(z)) @ q("out_proj.weight").T


def loss(chunk, p):
    r = p["backbone.embedding.weight"][ids]
    for i in range(layers):
        r = r + block(chunk, p, norm(r, p[f"backbone.layers.{i}.norm.weight"]), i)
    logits = norm(r, p["backbone.norm_f.weight"]) @ p["backbone.embedding.weight"].T
    scores = jax.nn.log_softmax(logits[:, :-1])
    return -jnp.mean(jnp.take_along_axis(scores, ids[:, 1:, None], -1))


def adam(chunk, p, m, v, t):
    value, g = jax.value_and_grad(lambda p: loss(chunk, p))(p)
    new = lambda f, *trees: jax.tree.map(f, *trees)
    m = new(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = new(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    rate = 0.0
    p = new(lambda p, m, v: p - rate * m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
    return value, p, m, v


zeros = lambda: jax.tree.map(jnp.zeros_like, p0)
state = (jax.tree.map(jnp.copy, p0), zeros(), zeros())
steps = 0


chunk = ids.shape[1] if options.scan == "whole" else int(options.scan)
forward_compiled = jax.jit(lambda p: loss(chunk, p)).lower(p0).compile()
step_compiled = jax.jit(lambda p, m, v, t: adam(chunk, p, m, v, t), donate_argnums=(0, 1, 2)).lower(*state, 1.0).compile()


def forward():
    return forward_compiled(p0)


def step():
    global state, steps
    steps += 1
    value, *state = step_compiled(*state, float(steps))
    return value


compiled = {"forward": forward_compiled, "step": step_compiled}
memory = {kind: one.memory_analysis().temp_size_in_bytes for kind, one in compiled.items()}
about = f"JAX {jax.__version__}, associative_scan, {options.scan}, {jax.devices()[0].device_kind}"
serve(about, float(forward()), memory, forward, step, lambda value: value.block_until_ready(), options.device)
