/** @file `dendra eval`: the official NeuronIO evaluation of a neuron, its accuracy on spoken digits, or the loss of a language model. */
import { openSession } from '../../backends/index.js';
import { inputError } from '../../base/errors.js';
import { openNeuronIO } from '../../data/index.js';
import { digitTaskNames, loadModel, scoreNeuronIO } from '../../train/index.js';
import { command } from '../command.js';
import { counter } from '../counter.js';
import { evaluateDigits, trainedOnDigits } from '../eval-digits.js';
import { evalTokens, tokenScoresText } from '../eval-tokens.js';
import { choice, duration, grouped, paths, real, required, text, toggle, whole } from '../flags.js';
import { modelFolder, neuronOf } from '../models.js';
import { scoresText } from '../neuronio-scores.js';
import { labelChoices, labelsAbout, machineFlags, sessionOptions } from '../shared-flags.js';
import { speakerList, speakersAbout } from '../train-digits-flags.js';

export const evalCommand = command({
  name: 'eval',
  summary: 'score a model on recordings of cells, as its authors do, on spoken digits or tokens',
  description:
    'NeuronIO: runs the model from rest in overlapping windows, aligns the predicted soma voltage to the recorded mean and deviation, leaves out simulations with more than 24 spikes and the first 500 ms of the others, and scores spikes by ROC and the voltage in mV. Spoken digits (shd, shd-adding): accuracy, cross-entropy and confusion matrix on recordings it was not trained on. Tokens: the mean cross-entropy of the next token, for Mamba models.',
  operands: [{ name: 'model', about: 'a folder of a model, a run or an official checkpoint, or a .pt file' }],
  flags: {
    task: choice('what to score it on; default what it was trained on, else neuronio; tokens for a language model', [
      'neuronio',
      ...digitTaskNames,
      'tokens',
    ]),
    data: required(
      paths(
        "recordings: files and folders of .npz, published pickle files or shards; spoken digits as train takes them; tokens: .npz with input_ids, or text for the model's tokenizer",
      ),
    ),
    bytes: toggle('tokens: the bytes of any file'),
    length: whole('tokens of a sequence, each started from nothing; default: all there are', { minimum: 2 }),
    labels: choice(labelsAbout, labelChoices),
    align: choice('group (default): each pickle file by itself, all others together; all: everything together; none', [
      'group',
      'all',
      'none',
    ]),
    window: duration("length of a window; default '500 ms'", { minimum: 1, wholeMs: true }),
    burnIn: duration("left out at the start of every window but the first; default '150 ms'", { wholeMs: true }),
    batch: whole('windows or samples computed at once; default 32, for digits and tokens 16', {
      minimum: 1,
      maximum: 4096,
    }),
    ...grouped('Spoken digits', {
      binMs: real('bin size in ms; default that of training', { above: 0, maximum: 1000 }),
      duration: duration('time kept of every recording; default that of training', { minimum: 1 }),
      part: choice('which recordings, as train divides them; default test', ['test', 'valid', 'train', 'all']),
      testSpeakers: text(speakersAbout),
      pairs: whole('pairs of digits (shd-adding); default 4000', { minimum: 1 }),
    }),
    ...machineFlags,
  },
  examples: [
    'dendra eval runs/quickstart-1 --data datasets/neuronio-mini/valid',
    'dendra eval num_memory_20 --data recordings/test --labels float16 --json',
    'dendra eval runs/shd-adding-1 --data datasets/spoken-digits-mini',
    'dendra eval mamba-130m --task tokens --data book.txt',
  ],
  async run({ flags, operands: [path], signal, progress: output }) {
    const { window = 500, burnIn = 150, labels, align, batch, bytes, length } = flags;
    if (flags.task === 'tokens') {
      const shown = counter('eval', 'batches', output);
      try {
        const scores = await evalTokens({
          model: path,
          data: flags.data,
          bytes,
          length,
          batch,
          backend: flags.backend,
          session: sessionOptions(flags),
          signal,
          onProgress: shown.update,
        });
        return { json: scores, text: tokenScoresText(scores) };
      } finally {
        shown.finish();
      }
    }
    const loaded = await loadModel(await modelFolder(path));
    const task = flags.task ?? trainedOnDigits(loaded) ?? 'neuronio';
    if (task !== 'neuronio') {
      const { data, binMs, duration: durationMs, part, pairs, backend } = flags;
      const testSpeakers = speakerList(flags.testSpeakers);
      const digits = { task, data, binMs, durationMs, part, pairs, batch, backend, testSpeakers };
      return evaluateDigits(loaded, { ...digits, ...sessionOptions(flags) }, { signal, progress: output });
    }
    if (burnIn >= window) {
      throw inputError(
        '--burn-in',
        `less than the window of ${window} ms`,
        `${burnIn} ms`,
        `the nearest is '${window - 1} ms'`,
      );
    }
    const model = neuronOf(path, loaded);
    const dataset = await openNeuronIO(flags.data);
    const session = await openSession(flags.backend, sessionOptions(flags));
    const shown = counter('eval', 'windows', output);
    try {
      const { result } = await scoreNeuronIO(model, dataset, session, {
        window,
        burnIn,
        labels,
        align,
        batch,
        signal,
        onProgress: shown.update,
      });
      return { json: result, text: scoresText(result) };
    } finally {
      shown.finish();
      session.dispose();
    }
  },
});
