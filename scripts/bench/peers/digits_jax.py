"""A training step of the ELM on SHD-Adding in JAX, written from the equations: what dendra is timed against.

Every advantage: the projection of the inputs and the leaky trace are computed for all time steps at once (the trace by the
faster of a product with a constant triangular matrix and a scan), only the last step is read out, the whole step is one jit,
the unrolling of the scan is the fastest of several. Inputs are dense float32, made beforehand.

Reads lines `<count>` from standard input, runs so many steps, answers with a JSON list of milliseconds.
"""
import argparse
import json
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--bin-ms", type=float, default=2)
parser.add_argument("--batch", type=int, default=8)
options = parser.parse_args()

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

INPUTS, CLASSES, M, H, B = 700, 19, 100, 200, options.batch
DT = options.bin_ms
T = 2 * round(1000 / DT)
rng = np.random.default_rng(0)


def uniform(bound, *shape):
    return jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32)


share = np.linspace(1, 150, M) / 1000
parameters = {
    "proto_tau": jnp.asarray(np.log(share / (1 - share)), jnp.float32),
    "w0": uniform((INPUTS + M) ** -0.5, H, INPUTS + M),
    "b0": uniform((INPUTS + M) ** -0.5, H),
    "w1": uniform(H**-0.5, M, H),
    "b1": uniform(H**-0.5, M),
    "wy": uniform(M**-0.5, CLASSES, M),
    "by": uniform(M**-0.5, CLASSES),
}
kappa_s = float(np.exp(-DT / 5))
lag = np.arange(T)[:, None] - np.arange(T)[None]
decays = jnp.asarray(np.where(lag >= 0, np.exp(-np.maximum(lag, 0) * DT / 5), 0), jnp.float32)


def trace_by_scan(u):
    def step(z, x):
        z = kappa_s * z + x
        return z, z

    return lax.scan(step, jnp.zeros_like(u[0]), u, unroll=16)[1]


def trace_by_product(u):
    return jnp.einsum("ts,sbk->tbk", decays, u)


def loss(p, x, label, trace, unroll):
    # The synaptic weights are fixed at 0.5.
    drive = trace(x @ (0.5 * p["w0"][:, :INPUTS].T)) + p["b0"]
    kappa = jnp.exp(-DT / (1000 * jax.nn.sigmoid(p["proto_tau"])))
    gain = 5 * 1.7159 * (1 - kappa)
    recurrent = p["w0"][:, INPUTS:].T
    out = p["w1"].T

    def step(m, h):
        v = kappa * m
        hidden = jnp.maximum(h + v @ recurrent, 0)
        return v + gain * jnp.tanh((2 / 3) * (hidden @ out + p["b1"])), None

    m = lax.scan(step, jnp.zeros((B, M), jnp.float32), drive, unroll=unroll)[0]
    logits = m @ p["wy"].T + p["by"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], 1))


def make(trace, unroll):
    @jax.jit
    def train(p, first, second, count, x, label):
        value, g = jax.value_and_grad(loss)(p, x, label, trace, unroll)
        count = count + 1
        first = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, first, g)
        second = jax.tree.map(lambda v, d: jnp.maximum(0.999 * v, jnp.abs(d) + 1e-8), second, g)
        rate = 5e-3 / (1 - 0.9**count)
        return jax.tree.map(lambda w, m, v: w - rate * m / v, p, first, second), first, second, count, value

    return train


batches = [
    (
        jnp.asarray(2 * (rng.random((T, B, INPUTS)) < 5500 / T / INPUTS), jnp.float32),
        jnp.asarray(rng.integers(0, CLASSES, B)),
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


scores = {}
for name, trace in (("product", trace_by_product), ("scan", trace_by_scan)):
    for unroll in (1, 4, 10):
        train = make(trace, unroll)
        _, state = run(train, start(), 2)
        scores[(name, unroll)] = (min(run(train, state, 2)[0]), train)
best = min(scores, key=lambda key: scores[key][0])
train = scores[best][1]
state = start()
print(json.dumps({"ready": f"jax {jax.__version__}, trace by {best[0]}, unroll {best[1]}"}), flush=True)
for line in sys.stdin:
    times, state = run(train, state, int(line))
    print(json.dumps(times), flush=True)
