"""A training step of the Branch-ELM in JAX, written from the equations: what dendra is timed against.

Every advantage: jit of the whole step, the drive of the branches and the input half of the first layer for all time steps
at once, the leaky trace as a product with a constant lower-triangular matrix or a scan (the faster), lax.scan with the
best unrolling. XLA's CPU runtime flushes denormals itself.

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


def loss(p, x, spike, soma, trace, unroll):
    weight = jnp.maximum(p["w_s"], 0) * mask
    table = jnp.zeros(INPUTS * BRANCHES, jnp.float32).at[flat].add(weight).reshape(INPUTS, BRANCHES)
    z = trace(x @ table)
    drive = z @ p["w0"][:, :BRANCHES].T + p["b0"]
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


def make(trace, unroll):
    @jax.jit
    def train(p, first, second, count, x, spike, soma):
        value, g = jax.value_and_grad(loss)(p, x, spike, soma, trace, unroll)
        count = count + 1
        first = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, first, g)
        second = jax.tree.map(lambda v, d: 0.999 * v + 0.001 * d * d, second, g)
        rate = 5e-4 / (1 - 0.9**count)
        root = jnp.sqrt(1 - 0.999**count)
        p = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), p, first, second)
        return p, first, second, count, value

    return train


batches = [
    (
        jnp.asarray(rng.random((T, B, INPUTS)) < 14.1 / INPUTS, jnp.float32),
        jnp.asarray(rng.random((T, B)) < 0.001, jnp.float32),
        jnp.asarray(rng.standard_normal((T, B)), jnp.float32),
    )
    for _ in range(4)
]


def start():
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return parameters, zeros, zeros, jnp.float32(0)


def run(train, state, count):
    times = []
    for k in range(count):
        begin = time.perf_counter()
        *state, value = train(*state, *batches[k % 4])
        value.block_until_ready()
        times.append((time.perf_counter() - begin) * 1000)
    return times, state


candidates = {(t.__name__, u): make(t, u) for t in (trace_by_scan, trace_by_product) for u in (1, 4, 10)}
scores = {}
for key, train in candidates.items():
    _, state = run(train, start(), 2)
    scores[key] = min(run(train, state, 4)[0])
best = min(scores, key=scores.get)
train, state = candidates[best], start()
print(json.dumps({"ready": f"jax {jax.__version__}, {best[0]}, unroll {best[1]}"}), flush=True)
for line in sys.stdin:
    times, state = run(train, state, int(line))
    print(json.dumps(times), flush=True)
