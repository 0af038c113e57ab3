"""A training step of the Branch-ELM in JAX on a GPU, written from the equations: what dendra's webgpu backend is timed
against. The drive of the branches, the leaky trace (a product with a constant triangular matrix) and the input half of the
first layer are computed for all time steps at once; the rest is lax.scan with a given unrolling, the whole step one jit.
Batches are dense float32 and stay on the device.

Reads lines `<count>`, runs so many steps without waiting in between, answers with the milliseconds per step.
"""
import argparse
import json
import os
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
parser = argparse.ArgumentParser()
parser.add_argument("--memory", type=int, default=20)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--unroll", type=int, default=10)
parser.add_argument("--inference", action="store_true", help="time the forward pass alone")
options = parser.parse_args()

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
interleaved = np.arange(INPUTS) // 2 + (np.arange(INPUTS) % 2) * (INPUTS // 2)
position = (np.arange(BRANCHES)[:, None] * -(-INPUTS // BRANCHES) + np.arange(PER_BRANCH)[None]).ravel()
index = interleaved[np.minimum(position, INPUTS - 1)]
flat = jnp.asarray(index * BRANCHES + np.repeat(np.arange(BRANCHES), PER_BRANCH))
mask = jnp.asarray(position < INPUTS, jnp.float32)

tau_m = np.logspace(0, np.log10(150), M)
kappa_m = jnp.asarray(np.exp(-1 / tau_m), jnp.float32)
gain = jnp.asarray(5 * (1 - np.exp(-1 / tau_m)), jnp.float32)
lag = np.arange(T)[:, None] - np.arange(T)[None]
decays = jnp.asarray(np.where(lag >= 0, np.exp(-np.maximum(lag, 0) / 5), 0), jnp.float32)

parameters = {
    "w_s": jnp.full((BRANCHES * PER_BRANCH,), 0.5, jnp.float32),
    "w0": uniform((BRANCHES + M) ** -0.5, H, BRANCHES + M),
    "b0": uniform((BRANCHES + M) ** -0.5, H),
    "w1": uniform(H**-0.5, M, H),
    "b1": uniform(H**-0.5, M),
    "wy": uniform(M**-0.5, OUTPUTS, M),
    "by": uniform(M**-0.5, OUTPUTS),
}


def model(p, x):
    weight = jnp.maximum(p["w_s"], 0) * mask
    table = jnp.zeros(INPUTS * BRANCHES, jnp.float32).at[flat].add(weight).reshape(INPUTS, BRANCHES)
    z = jnp.einsum("ts,sbk->tbk", decays, x @ table)
    drive = z @ p["w0"][:, :BRANCHES].T + p["b0"]
    recurrent = p["w0"][:, BRANCHES:].T
    out = p["w1"].T

    def step(m, h):
        v = kappa_m * m
        hidden = jnp.maximum(h + v @ recurrent, 0)
        m = v + gain * 1.7159 * jnp.tanh((2 / 3) * (hidden @ out + p["b1"]))
        return m, m

    memory = lax.scan(step, jnp.zeros((B, M), jnp.float32), drive, unroll=options.unroll)[1]
    return memory @ p["wy"].T + p["by"]


def loss(p, x, spike, soma):
    y = model(p, x)
    logit = y[..., 0]
    bce = jnp.mean(jnp.maximum(logit, 0) - logit * spike + jnp.log1p(jnp.exp(-jnp.abs(logit))))
    return 0.5 * bce + 0.5 * jnp.mean((y[..., 1] - soma) ** 2)


@jax.jit
def train(p, first, second, count, x, spike, soma):
    value, g = jax.value_and_grad(loss)(p, x, spike, soma)
    count = count + 1
    first = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, first, g)
    second = jax.tree.map(lambda v, d: 0.999 * v + 0.001 * d * d, second, g)
    rate = 5e-4 / (1 - 0.9**count)
    root = jnp.sqrt(1 - 0.999**count)
    p = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), p, first, second)
    return p, first, second, count, value


@jax.jit
def forward(p, x):
    return model(p, x)


different = 1 if B > 512 else 4


@jax.jit
def draw(key):
    spikes, targets, soma = jax.random.split(key, 3)
    return (
        jax.random.bernoulli(spikes, 14.1 / INPUTS, (T, B, INPUTS)).astype(jnp.float32),
        jax.random.bernoulli(targets, 0.001, (T, B)).astype(jnp.float32),
        jax.random.normal(soma, (T, B)),
    )


batches = [draw(jax.random.key(k)) for k in range(different)]
zeros = jax.tree.map(jnp.zeros_like, parameters)
state = (parameters, zeros, zeros, jnp.float32(0))


def run(count):
    global state
    begin = time.perf_counter()
    for k in range(count):
        if options.inference:
            value = forward(state[0], batches[k % different][0])
        else:
            *state, value = train(*state, *batches[k % different])
    value.block_until_ready()
    return (time.perf_counter() - begin) * 1000 / count


begin = time.perf_counter()
run(1)
compiled = time.perf_counter() - begin
run(3)
about = f"jax {jax.__version__}, scan unrolled {options.unroll}, on {jax.devices()[0].device_kind} (first step {compiled:.0f} s)"
print(json.dumps({"ready": about}), flush=True)
for line in sys.stdin:
    print(json.dumps(run(int(line))), flush=True)
