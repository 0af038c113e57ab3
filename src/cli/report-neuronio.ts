/** @file The report of a NeuronIO run: figures and `report.html`, from its record, its model and held-out recordings. */
import type { NeuronIODataset } from '../data/index.js';
import type { ElmNeuron } from '../elm/index.js';
import { type RunFigures, renderReport, runFigures, type VoltageWindow, writeFigures } from '../figures/index.js';
import type { Session } from '../graph/index.js';
import {
  diskFolder,
  durationText,
  type FitSummary,
  type NeuronIOEvaluation,
  type NeuronIOTrace,
  RunRecord,
  scoreNeuronIO,
  within,
} from '../train/index.js';
import { scoreNames } from './neuronio-scores.js';
import { historyCurves, story } from './report-history.js';
import { counted } from './text.js';

export interface ReportParts {
  readonly summary: FitSummary & { readonly run: string };
  readonly selectedStep: number;
  readonly neuron: ElmNeuron;
  /** held-out recordings and where to run the neuron on them; without them there is no prediction to show */
  readonly valid?: { readonly dataset: NeuronIODataset; readonly session: Session };
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

const shownWindows = 3;
const shownMs = 1000;

/** Writes `figures/` and `report.html` into the run's folder; gives the report's path and why PNGs are missing, if they are. */
export async function writeNeuronIOReport(parts: ReportParts): Promise<{ path: string; pngUnavailable?: string }> {
  const { summary, neuron, valid, signal, onProgress } = parts;
  const folder = await diskFolder(summary.run);
  const record = await RunRecord.open(folder);
  const history = await record.history();
  const { labels, windowMs } = record.config as unknown as { labels: 'exact' | 'float16'; windowMs: number };
  const evaluation =
    valid &&
    (await scoreNeuronIO(neuron, valid.dataset, valid.session, {
      labels,
      signal,
      onProgress,
      traces: valid.dataset.count,
    }));
  const figures = runFigures({
    prediction: evaluation && { windows: voltageWindows(evaluation.traces) },
    roc: evaluation?.roc && { ...evaluation.roc, auc: evaluation.result.auc },
    training: historyCurves(history, summary.valid === null ? undefined : parts.selectedStep, [
      { label: 'Validation RMSE (mV)', score: 'somaRmseMv' },
      { label: 'Validation AUC', score: 'auc' },
    ]),
    timescales: { tauMs: neuron.memoryTausMs, trainingLengthMs: windowMs },
    branches: branches(neuron),
  });
  const { pngUnavailable } = await writeFigures(within(folder, 'figures'), figures);
  const { format: _format, version: _version, execution, options: _options, ...config } = record.config;
  const report = await renderReport({
    title: 'An ELM neuron fitted to a cortical cell',
    summary: summaryText(parts, evaluation),
    metrics: metrics(parts, evaluation),
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

function summaryText({ summary, selectedStep }: ReportParts, evaluation: NeuronIOEvaluation | undefined): string {
  const { parameters, steps, seconds, backend, threads } = summary;
  const training = `An Expressive Leaky Memory neuron of ${parameters} parameters, trained for ${steps} steps in ${durationText(seconds)} on the ${backend} backend (${counted(threads, 'thread')}).`;
  if (!evaluation)
    return `${training}\n\nThere were no held-out recordings: the last parameters were kept, and it is not known how good they are.`;
  const { simulations, simulationsKept, spikes } = evaluation.result;
  return `${training} The parameters after step ${selectedStep}, which had the lowest voltage error on held-out recordings, were kept.\n\nScored on ${counted(simulations, 'recording')} that training did not see (${counted(spikes, 'spike')}; ${simulationsKept} recordings with at most 24 spikes count) by the evaluation of the ELM's authors.`;
}

function metrics({ summary, selectedStep }: ReportParts, evaluation: NeuronIOEvaluation | undefined) {
  const keys = ['auc', 'somaRmseMv', 'somaExplainedVariance'];
  const scores = scoreNames.map(([key, label, unit]) => ({
    label: label[0].toUpperCase() + label.slice(1),
    value: evaluation?.result[key] ?? null,
    unit: unit || undefined,
    key: keys.includes(key),
  }));
  return [
    ...(evaluation ? scores : []),
    { label: 'Parameters', value: summary.parameters, key: true },
    { label: 'Steps', value: summary.steps },
    { label: 'Step that was kept', value: selectedStep },
    { label: 'Seconds', value: summary.seconds, digits: 3 },
  ];
}

/** Of the scored recordings with most spikes, the second that holds most of them. */
function voltageWindows(traces: readonly NeuronIOTrace[]): VoltageWindow[] {
  const scored = traces.filter(({ spikes }) => spikes.reduce((sum, spike) => sum + spike, 0) <= 24);
  const windows = (scored.length > 0 ? scored : traces).map((trace) => ({ trace, ...busiestWindow(trace.spikes) }));
  return windows
    .sort((a, b) => b.spikes - a.spikes)
    .slice(0, shownWindows)
    .map(({ trace, from, to }) => ({
      timeMs: Float64Array.from({ length: to - from }, (_, i) => from + i),
      recordedMv: trace.somaMv.subarray(from, to),
      predictedMv: trace.predictedSomaMv.subarray(from, to),
      spikeProbability: trace.spikeProbability.subarray(from, to),
      spikesMs: [...trace.spikes.keys()].filter((time) => trace.spikes[time] && time >= from && time < to),
      title: trace.name,
    }));
}

function busiestWindow(spikes: Uint8Array): { from: number; to: number; spikes: number } {
  const length = Math.min(shownMs, spikes.length);
  // The first half second of a recording is not scored.
  const first = Math.min(500, spikes.length - length);
  const count = (from: number) => spikes.subarray(from, from + length).reduce((sum, spike) => sum + spike, 0);
  let best = { from: first, to: first + length, spikes: count(first) };
  for (let from = first; from + length <= spikes.length; from += 100) {
    if (count(from) > best.spikes) best = { from, to: from + length, spikes: count(from) };
  }
  return best;
}

/** The weights that act: rectified where the configuration says so, 0 at synapses beyond the last input. */
function branches({ config, routing, parameters }: ElmNeuron): RunFigures['branches'] {
  const proto = parameters.get('_proto_w_s')?.data ?? new Float32Array(0);
  const weights = Float64Array.from(proto, (w, s) =>
    routing.mask[s] ? (config.synapseSign === 'positive' ? Math.max(0, w) : w) : 0,
  );
  return { weights, branches: config.branches, excitatory: Array.from(routing.indices, (i) => i < config.inputs / 2) };
}
