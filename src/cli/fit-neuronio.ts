/** @file A fit from start to report, as `train neuronio` and `quickstart` run it. */
import { openSession } from '../backends/index.js';
import { openNeuronIO } from '../data/index.js';
import { durationText, type FitNeuronIOOptions, type FitSummary, fitNeuronIO } from '../train/index.js';
import type { Call, Outcome } from './command.js';
import { counter } from './counter.js';
import { scoresText } from './neuronio-scores.js';
import { writeNeuronIOReport } from './report-neuronio.js';
import { inRunFolder, type RunPlace } from './run-folder.js';
import { counted } from './text.js';

type Surroundings = Pick<Call, 'signal' | 'progress' | 'note'>;

/**
 * Fits, writes the run's figures and report, and tells what came out.
 *
 * @param settle the options, asked for once the run's folder is there to be given back where they can't be had
 */
export async function fitAndReport(
  settle: () => FitNeuronIOOptions | Promise<FitNeuronIOOptions>,
  place: RunPlace,
  around: Surroundings,
): Promise<Outcome> {
  const run = async () => fitThenReport(await settle(), place, around);
  return inRunFolder(place, 'dendra train neuronio', around.note, run);
}

async function fitThenReport(
  options: FitNeuronIOOptions,
  place: RunPlace,
  { signal, progress, note }: Surroundings,
): Promise<Outcome> {
  const fit = await fitNeuronIO({
    ...options,
    out: place.path,
    resume: place.resume,
    signal,
    progress,
    warn: (message) => note(`warning: ${message}`),
    note,
  });
  const { summary, neuron, selectedStep } = fit;
  const earlier = place.earlier?.config.options as FitNeuronIOOptions | undefined;
  const startFrom = (options.startFrom ?? earlier?.startFrom ?? null) as string | null;
  const shown = counter('report', 'windows', progress);
  const held = (options.valid ?? earlier?.valid) as string[] | undefined;
  const session = held && (await openSession(fit.execution.backend, { threads: options.threads, simd: options.simd }));
  try {
    const { path, pngUnavailable } = await writeNeuronIOReport({
      summary: { ...summary, run: place.path },
      selectedStep,
      neuron,
      valid: session && { dataset: await openNeuronIO(held), session },
      signal,
      onProgress: shown.update,
    });
    shown.finish();
    if (pngUnavailable) note(`warning: no PNG figures: ${pngUnavailable}`);
    return { json: { ...summary, startFrom }, text: fitText(summary, startFrom, selectedStep, path) };
  } finally {
    shown.finish();
    session?.dispose();
  }
}

function fitText(summary: FitSummary, startFrom: string | null, selectedStep: number, report: string): string {
  const { parameters, steps, seconds, backend, threads, simd, valid, model } = summary;
  const machine = [counted(threads, 'thread'), ...(simd === 'none' ? [] : [`${simd} SIMD`])].join(', ');
  return [
    `ELM neuron of ${counted(parameters, 'parameter')}, ${counted(steps, 'step')} in ${durationText(seconds)} on ${backend} (${machine})` +
      (startFrom === null ? '' : `,\nbegun with the neuron in ${startFrom}`),
    valid
      ? `held-out recordings, parameters after step ${selectedStep}:\n\n${scoresText(valid)}`
      : 'no held-out recordings: the last parameters were kept',
    `model   ${model}\nreport  ${report}`,
  ].join('\n\n');
}
