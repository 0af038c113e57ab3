/**
 * @file Mamba and Mamba-2: models, their recurrent form, checkpoints.
 *
 * - `MambaModel.create(options, seed)`, or `loadModel(folder)` of `dendra/train` for one on disk: a model is
 *   `{ config, parameters }`, parameters under the state-spaces names.
 * - `model.open({ backend, chunkSteps, delta })` → `MambaRunner`: `forward` (logits, taps, state), `loss`, `step`; state in,
 *   state out, so any of them goes on where another stopped.
 * - `generate(runner, prompt, { tokens, temperature, topK, topP, seed })`.
 * - `model.trace(ids, { initial, delta })`: the graph, for training and for programs of one's own; `mambaLogits` is the head.
 *   `delta(Δ [B, T, H], layer)` is where a strategy that changes Δ comes in; it may make inputs, fed through `feeds`.
 * - `openTokenizer`, `byteTokenizer`: text to token ids and back.
 * - `model.withExtension(await calibrateLongMamba(model, windows, { trainingLength }))`, or `deltaScaling`, `tokenDropping`:
 *   the same model for sequences longer than it was trained on.
 */
export * from './config.js';
export * from './long/index.js';
export * from './model.js';
export * from './official.js';
export * from './parameters.js';
export * from './runner.js';
export * from './sampling.js';
export * from './state.js';
export * from './tokenizer.js';
export * from './trace.js';
