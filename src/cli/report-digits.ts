/** @file The report of a fit to spoken digits: figures and `report.html`, from its record, its model and a sample. */
import { openSession } from '../backends/index.js';
import { type SpokenDigits, shdAddingBatches, shdBatches } from '../data/index.js';
import { ElmNeuron } from '../elm/index.js';
import { type Listening, rasterOf, renderReport, runFigures, writeFigures } from '../figures/index.js';
import { compile, input } from '../graph/index.js';
import {
  type DigitFit,
  digitClassNames,
  digitSplit,
  diskFolder,
  durationText,
  RunRecord,
  within,
} from '../train/index.js';
import { modelTitles } from './digit-scores.js';
import { historyCurves, story } from './report-history.js';
import { counted } from './text.js';

/** Writes `figures/` and `report.html` into the run's folder; gives the report's path and why PNGs are missing, if they are. */
export async function writeDigitReport(
  fit: DigitFit,
  run: string,
  data: SpokenDigits,
): Promise<{ path: string; pngUnavailable?: string }> {
  const { summary, selectedStep, classifier, execution } = fit;
  const { task, test, valid, kind, parameters, steps, seconds, backend, threads, binMs } = summary;
  const folder = await diskFolder(run);
  const record = await RunRecord.open(folder);
  const history = await record.history();
  const { model } = classifier;
  const figures = runFigures({
    listening: await listen(fit, data, (record.config.testSpeakers as string[] | null) ?? undefined),
    confusion: test ? { counts: test.confusion, classes: test.classes } : undefined,
    training: historyCurves(
      history,
      valid ? selectedStep : undefined,
      [{ label: 'Validation accuracy (%)', score: 'accuracy', factor: 100 }],
      'loss',
    ),
    ...(model instanceof ElmNeuron && {
      timescales: { tauMs: model.memoryTausMs, trainingLengthMs: (task === 'shd' ? 1 : 2) * summary.durationMs },
    }),
  });
  const { pngUnavailable } = await writeFigures(within(folder, 'figures'), figures);
  const { format: _format, version: _version, execution: _execution, options: _options, ...config } = record.config;
  const title = `${kind === 'lstm' ? 'An LSTM' : `${kind === 'elm' ? 'An' : 'A'} ${modelTitles[kind]}`} ${task === 'shd' ? 'names spoken digits' : 'adds spoken digits'}`;
  const percent = (accuracy: number | undefined) => (accuracy === undefined ? null : 100 * accuracy);
  const report = await renderReport({
    title,
    summary: `${modelTitles[kind]} of ${parameters} parameters, trained for ${counted(steps, 'step')} in ${durationText(seconds)} on the ${backend} backend (${counted(threads, 'thread')}), on spikes counted in bins of ${binMs} ms.\n\n${test ? `Scored on ${counted(test.samples, task === 'shd' ? 'recording' : 'pair')} ${task === 'shd' ? '' : 'of recordings '}that training did not see.` : 'There were no test recordings.'}`,
    metrics: [
      { label: 'Test accuracy', value: percent(test?.accuracy), unit: '%', key: true },
      { label: 'Validation accuracy', value: percent(valid?.accuracy), unit: '%', key: true },
      {
        label: 'Chance',
        value: 100 * chance(test?.confusion),
        unit: '%',
        note: 'always the most frequent class',
        key: true,
      },
      { label: 'Parameters', value: parameters, key: true },
      { label: 'Test cross-entropy', value: test?.loss ?? null, unit: 'nats' },
      { label: 'Validation cross-entropy', value: valid?.loss ?? null, unit: 'nats' },
      { label: 'Steps', value: steps },
      { label: 'Step that was kept', value: selectedStep },
      { label: 'Seconds', value: seconds, digits: 3 },
    ],
    figures,
    config,
    record: {
      execution,
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      events: story(history),
    },
  });
  await folder.write('report.html', report);
  return { path: `${folder.path}/report.html`, pngUnavailable };
}

/** The share of the most frequent class. */
function chance(confusion: readonly (readonly number[])[] | undefined): number {
  const rows = (confusion ?? []).map((row) => row.reduce((sum, count) => sum + count, 0));
  const total = rows.reduce((sum, count) => sum + count, 0);
  return total > 0 ? Math.max(...rows) / total : Number.NaN;
}

/** The model on one sample of the test, or of what there is: of a few, the one that it answers best. */
async function listen(
  { summary, classifier, execution }: DigitFit,
  data: SpokenDigits,
  testSpeakers: string[] | undefined,
): Promise<Listening> {
  const { task, binMs, durationMs } = summary;
  const split = digitSplit(data, { testSpeakers });
  const from = [split.test, split.valid, split.train].find((part) => part.length > 0) as Int32Array;
  const several = Math.min(8, from.length);
  const make = task === 'shd' ? shdBatches : shdAddingBatches;
  const { inputs, labels, recordings } = await make(data, {
    seed: 1,
    batch: several,
    binMs,
    durationMs,
    from,
    purpose: 'report',
  }).make(0);
  const session = await openSession(execution.backend);
  try {
    for (const [name, { shape, data: values }] of classifier.parameters) session.define(name, shape, values);
    const run = compile(
      session,
      ({ x }: { x: readonly number[] }) => {
        const { memory, logitsOverTime } = classifier.trace(input('x', 'events', x), classifier.variables());
        return { outputs: { memory, logitsOverTime } };
      },
      () => ({ x: inputs.shape }),
    );
    const { memory, logitsOverTime } = await run({ x: inputs });
    const [, steps] = inputs.shape;
    const classes = digitClassNames(task, data);
    const units = memory.length / (several * steps);
    const probabilities = softmaxRows(logitsOverTime, classes.length);
    const final = (sample: number) => probabilities[((sample + 1) * steps - 1) * classes.length + labels[sample]];
    const sample = [...labels.keys()].sort((a, b) => final(b) - final(a))[0];
    const part = (values: ArrayLike<number>, width: number) =>
      Array.from({ length: steps * width }, (_, i) => values[sample * steps * width + i]);
    const perSample = recordings.length / several;
    const names = [...recordings.subarray(sample * perSample, (sample + 1) * perSample)].map((i) => data.info[i].name);
    const { timesMs, channels, channelCount } = rasterOf(inputs, { sample, dtMs: binMs });
    return {
      timesMs,
      channels,
      channelCount,
      durationMs: steps * binMs,
      dtMs: binMs,
      memory: part(memory, units),
      units,
      tauMs: classifier.model instanceof ElmNeuron ? classifier.model.memoryTausMs : undefined,
      probabilities: part(probabilities, classes.length),
      classes,
      target: labels[sample],
      boundariesMs: task === 'shd' ? [] : [(steps * binMs) / 2],
      title: names.join(' + '),
    };
  } finally {
    session.dispose();
  }
}

function softmaxRows(logits: ArrayLike<number>, classes: number): Float64Array {
  const probabilities = new Float64Array(logits.length);
  for (let row = 0; row < logits.length; row += classes) {
    let [most, total] = [Number.NEGATIVE_INFINITY, 0];
    for (let k = 0; k < classes; k++) most = Math.max(most, logits[row + k]);
    for (let k = 0; k < classes; k++) total += Math.exp(logits[row + k] - most);
    for (let k = 0; k < classes; k++) probabilities[row + k] = Math.exp(logits[row + k] - most) / total;
  }
  return probabilities;
}
