/** @file A fit on a token task from start to report, as `train induction` and its siblings run it. */
import { lengthCurves, type ReportFigure, renderReport, trainingCurves, writeFigures } from '../figures/index.js';
import {
  diskFolder,
  durationText,
  type FitTokensOptions,
  fitTokens,
  type RunEvent,
  RunRecord,
  type TokenFit,
  within,
} from '../train/index.js';
import type { Call, Outcome } from './command.js';
import { inRunFolder, type RunPlace } from './run-folder.js';
import { counted, indented, textTable } from './text.js';

type Surroundings = Pick<Call, 'signal' | 'progress' | 'note'>;

/** Fits, writes the run's figures and report, and tells what came out. */
export async function fitTokensAndReport(
  options: FitTokensOptions,
  place: RunPlace,
  { signal, progress, note }: Surroundings,
): Promise<Outcome> {
  return inRunFolder(place, `dendra train ${options.task}`, note, async () => {
    const warn = (message: string) => note(`warning: ${message}`);
    const fit = await fitTokens({ ...options, out: place.path, resume: place.resume, signal, progress, warn });
    const { path, pngUnavailable } = await writeTokenReport(fit, place.path);
    if (pngUnavailable) note(`warning: no PNG figures: ${pngUnavailable}`);
    return { json: fit.summary, text: fitText(fit, path) };
  });
}

function fitText({ summary, selectedStep }: TokenFit, report: string): string {
  const { task, parameters, steps, seconds, backend, threads, simd, valid, test, model } = summary;
  const machine = [counted(threads, 'thread'), ...(simd === 'none' ? [] : [`${simd} SIMD`])].join(', ');
  const row = (name: string, { accuracy, loss }: { accuracy: number; loss: number }) => [
    name,
    `${(100 * accuracy).toFixed(1)} %`,
    loss.toFixed(3),
  ];
  const rows = [
    ['', 'right', 'loss'],
    ...(valid ? [row('validation', valid)] : []),
    ...test.map((one) => row(`${one.length} tokens`, one)),
  ];
  return [
    `Mamba of ${counted(parameters, 'parameter')} on ${task}, ${counted(steps, 'step')} in ${durationText(seconds)} on ${backend} (${machine})`,
    `held-out sequences, parameters after step ${selectedStep}:\n\n${indented(textTable(rows))}`,
    `model   ${model}\nreport  ${report}`,
  ].join('\n\n');
}

/** Writes `figures/` and `report.html` into the run's folder. */
async function writeTokenReport(fit: TokenFit, run: string): Promise<{ path: string; pngUnavailable?: string }> {
  const { summary, selectedStep } = fit;
  const { task, parameters, length, steps, seconds, backend, threads, valid, test } = summary;
  const folder = await diskFolder(run);
  const record = await RunRecord.open(folder);
  const history = await record.history();
  const figures: ReportFigure[] = [
    {
      id: 'training',
      title: 'Training',
      caption:
        'Loss as logged (pale) and smoothed, the scores on held-out sequences, and the learning rate. The dashed line marks the step whose weights were kept.',
      svg: trainingCurves(curvesOf(history, selectedStep)),
    },
  ];
  if (test.length > 0) {
    figures.push({
      id: 'lengths',
      title: 'Accuracy over length',
      caption: `Share of the tokens asked for that were the likeliest, on fresh sequences of each length. Training saw sequences of ${length} tokens.`,
      svg: lengthCurves({
        lengths: test.map((one) => one.length),
        methods: [{ label: 'accuracy', runs: [test.map((one) => one.accuracy)] }],
        label: 'Accuracy',
        domain: [0, 1],
        trainingLength: length,
      }),
    });
  }
  const { pngUnavailable } = await writeFigures(within(folder, 'figures'), figures);
  const { format: _format, version: _version, execution, options: _options, ...config } = record.config;
  const report = await renderReport({
    title: `A Mamba on ${task}`,
    summary: `A Mamba of ${parameters} parameters, trained for ${steps} steps on sequences of ${length} tokens in ${durationText(seconds)} on the ${backend} backend (${counted(threads, 'thread')}). The parameters after step ${selectedStep}, which had the lowest loss on held-out sequences, were kept.`,
    metrics: [
      { label: 'Accuracy', value: valid?.accuracy ?? null, key: true },
      { label: 'Loss', value: valid?.loss ?? null, unit: 'nats', key: true },
      { label: 'Parameters', value: parameters, key: true },
      { label: 'Whole sequences right', value: valid?.sequences ?? null },
      ...test.map((one) => ({ label: `Accuracy at ${one.length} tokens`, value: one.accuracy })),
      { label: 'Steps', value: steps },
      { label: 'Step that was kept', value: selectedStep },
      { label: 'Seconds', value: seconds, digits: 3 },
    ],
    figures,
    config,
    record: { execution, node: process.version, platform: `${process.platform} ${process.arch}` },
  });
  await folder.write('report.html', report);
  return { path: `${folder.path}/report.html`, pngUnavailable };
}

function curvesOf(history: readonly RunEvent[], bestStep: number) {
  const train = history.filter(({ type }) => type === 'train');
  const valid = history.filter(({ type }) => type === 'valid');
  const number = (value: unknown) => (typeof value === 'number' ? value : Number.NaN);
  const scores = (key: string) => valid.map((event) => number((event.scores as Record<string, unknown>)[key]));
  return {
    steps: train.map(({ step }) => step),
    loss: train.map(({ loss }) => number(loss)),
    learningRate: train.map(({ learningRate }) => number(learningRate)),
    validation: {
      steps: valid.map(({ step }) => step),
      loss: scores('loss'),
      metrics: [{ label: 'Validation accuracy', values: scores('accuracy') }],
    },
    bestStep,
  };
}
