"""A training step of the Branch-ELM in JAX, written from the equations: what dendra is timed against.

Every advantage: jit of the whole step, the drive of the branches and the input half of the first layer for all time steps
at once, the leaky trace as a product with a constant lower-triangular matrix or a scan, before the first layer or behind it,
spikes as a dense array or as lists from which rows are gathered, lax.scan with the best unrolling: whatever is fastest here.
XLA's CPU runtime flushes denormals itself.

Reads lines `<count>` from standard input, runs so many steps, answers with a JSON list of milliseconds.
"""
import argparse
import json
import os
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--memory", type=int, default=20)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
if options.threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

INPUTS, BRANCHES, PER_BRANCH, OUTPUTS = 1278, 45, 100, 2
M, H, B, T = options.memory, 2 * options.memory, options.batch, options.steps
rng = np.random.default_rng(0)


def uniform(bound, *shape):
    return jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32)


# Interleaved windows over the inputs, as the official NeuronIO routing lays them.
half = INPUTS // 2
interleaved = np.arange(INPUTS) // 2 + (np.arange(INPUTS) % 2) * half
stride = -(-INPUTS // BRANCHES)
position = (np.arange(BRANCHES)[:, None] * stride + np.arange(PER_BRANCH)[None]).ravel()
live = position < INPUTS
index = interleaved[np.minimum(position, INPUTS - 1)]
branch = np.repeat(np.arange(BRANCHES), PER_BRANCH)
flat = jnp.asarray(index * BRANCHES + branch)
mask = jnp.asarray(live, jnp.float32)

tau_m = np.logspace(0, np.log10(150), M)
kappa_m = jnp.asarray(np.exp(-1 / tau_m), jnp.float32)
gain = jnp.asarray(5 * (1 - np.exp(-1 / tau_m)), jnp.float32)
kappa_s = np.float32(np.exp(-1 / 5))

parameters = {
    "w_s": jnp.full((BRANCHES * PER_BRANCH,), 0.5, jnp.float32),
    "w0": uniform((BRANCHES + M) ** -0.5, H, BRANCHES + M),
    "b0": uniform((BRANCHES + M) ** -0.5, H),
    "w1": uniform(H**-0.5, M, H),
    "b1": uniform(H**-0.5, M),
    "wy": uniform(M**-0.5, OUTPUTS, M),
    "by": uniform(M**-0.5, OUTPUTS),
}


def trace_by_scan(u):
    def step(z, x):
        z = kappa_s * z + x
        return z, z

    return lax.scan(step, jnp.zeros_like(u[0]), u, unroll=16)[1]


lag = np.arange(T)[:, None] - np.arange(T)[None]
decays = jnp.asarray(np.where(lag >= 0, np.float64(kappa_s) ** np.maximum(lag, 0), 0), jnp.float32)


def trace_by_product(u):
    return jnp.einsum("ts,sbk->tbk", decays, u)


def read(rows, x):
    """The sum of the rows of the inputs that spike: x is [T, B, INPUTS], or (channels, values) of [T, B, most] each."""
    if isinstance(x, tuple):
        return jnp.einsum("tbkj,tbk->tbj", rows[x[0]], x[1])
    return x @ rows


def loss(p, x, spike, soma, trace, unroll, projection_first):
    weight = jnp.maximum(p["w_s"], 0) * mask
    table = jnp.zeros(INPUTS * BRANCHES, jnp.float32).at[flat].add(weight).reshape(INPUTS, BRANCHES)
    first = p["w0"][:, :BRANCHES].T
    if projection_first:
        drive = trace(read(table @ first, x)) + p["b0"]
    else:
        drive = trace(read(table, x)) @ first + p["b0"]
    recurrent = p["w0"][:, BRANCHES:].T
    out = p["w1"].T

    def step(m, h):
        v = kappa_m * m
        hidden = jnp.maximum(h + v @ recurrent, 0)
        m = v + gain * 1.7159 * jnp.tanh((2 / 3) * (hidden @ out + p["b1"]))
        return m, m

    memory = lax.scan(step, jnp.zeros((B, M), jnp.float32), drive, unroll=unroll)[1]
    y = memory @ p["wy"].T + p["by"]
    logit = y[..., 0]
    bce = jnp.mean(jnp.maximum(logit, 0) - logit * spike + jnp.log1p(jnp.exp(-jnp.abs(logit))))
    return 0.5 * bce + 0.5 * jnp.mean((y[..., 1] - soma) ** 2)


def make(trace, unroll, projection_first):
    @jax.jit
    def train(p, first, second, count, x, spike, soma):
        value, g = jax.value_and_grad(loss)(p, x, spike, soma, trace, unroll, projection_first)
        count = count + 1
        first = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, first, g)
        second = jax.tree.map(lambda v, d: 0.999 * v + 0.001 * d * d, second, g)
        rate = 5e-4 / (1 - 0.9**count)
        root = jnp.sqrt(1 - 0.999**count)
        p = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), p, first, second)
        return p, first, second, count, value

    return train


def as_lists(x):
    """The spikes of every step as channels and values, filled up to the most that a step has."""
    counts = x.sum(-1).astype(int)
    channels = np.zeros((T, B, counts.max()), np.int32)
    values = np.zeros(channels.shape, np.float32)
    t, b, channel = np.nonzero(x)
    place = np.arange(len(t)) - np.repeat(np.cumsum(counts.ravel()) - counts.ravel(), counts.ravel())
    channels[t, b, place] = channel
    values[t, b, place] = 1
    return jnp.asarray(channels), jnp.asarray(values)


forms = {"dense": [], "lists": []}
for _ in range(4):
    x = (rng.random((T, B, INPUTS)) < 14.1 / INPUTS).astype(np.float32)
    targets = (
        jnp.asarray(rng.random((T, B)) < 0.001, jnp.float32),
        jnp.asarray(rng.standard_normal((T, B)), jnp.float32),
    )
    forms["dense"].append((jnp.asarray(x), *targets))
    forms["lists"].append((as_lists(x), *targets))


def start():
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return parameters, zeros, zeros, jnp.float32(0)


def run(train, batches, state, count):
    times = []
    for k in range(count):
        begin = time.perf_counter()
        *state, value = train(*state, *batches[k % 4])
        value.block_until_ready()
        times.append((time.perf_counter() - begin) * 1000)
    return times, state


def describe(form, trace, order, unroll):
    return f"spikes {form}, {trace.__name__}, {order}, unroll {unroll}"


def timed(form, trace, order, unroll):
    train = make(trace, unroll, order == "projection first")
    _, state = run(train, forms[form], start(), 2)
    return min(run(train, forms[form], state, 4)[0]), (form, trace, order, unroll)


# The unrolling of the recurrence hardly depends on the rest, so it is chosen first.
_, (*_, unroll) = min((timed("lists", trace_by_scan, "trace first", u) for u in (1, 4, 10)), key=lambda one: one[0])
_, best = min(
    (
        timed(form, trace, order, unroll)
        for form in ("dense", "lists")
        for trace in (trace_by_scan, trace_by_product)
        for order in ("trace first", "projection first")
    ),
    key=lambda one: one[0],
)
form, trace, order, unroll = best
train, state = make(trace, unroll, order == "projection first"), start()
print(json.dumps({"ready": f"jax {jax.__version__}, {describe(*best)}"}), flush=True)
for line in sys.stdin:
    times, state = run(train, forms[form], state, int(line))
    print(json.dumps(times), flush=True)
