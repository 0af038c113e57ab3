/** @file A fit to spoken digits from start to report, as `train shd` and `train shd-adding` run it. */
import { type DigitFitSummary, digitData, durationText, type FitDigitsOptions, fitDigits } from '../train/index.js';
import type { Call, Outcome } from './command.js';
import { modelTitles, scoreCells } from './digit-scores.js';
import { writeDigitReport } from './report-digits.js';
import { inRunFolder, type RunPlace } from './run-folder.js';
import { counted, textTable } from './text.js';

/** Fits, writes the run's figures and report, and tells what came out. */
export function fitDigitsAndReport(
  options: FitDigitsOptions,
  place: RunPlace,
  { signal, progress, note }: Pick<Call, 'signal' | 'progress' | 'note'>,
): Promise<Outcome> {
  return inRunFolder(place, `dendra train ${options.task}`, note, async () => {
    const named = options.data ?? (place.earlier?.config.options as FitDigitsOptions | undefined)?.data;
    const data = await digitData(named);
    const fit = await fitDigits({
      ...options,
      out: place.path,
      resume: place.resume,
      signal,
      progress,
      warn: (message) => note(`warning: ${message}`),
    });
    const { path, pngUnavailable } = await writeDigitReport(fit, place.path, data);
    if (pngUnavailable) note(`warning: no PNG figures: ${pngUnavailable}`);
    return { json: fit.summary, text: fitText(fit.summary, fit.selectedStep, path) };
  });
}

function fitText(summary: DigitFitSummary, selectedStep: number, report: string): string {
  const { kind, parameters, steps, seconds, backend, threads, simd, valid, test, model } = summary;
  const machine = [counted(threads, 'thread'), ...(simd === 'none' ? [] : [`${simd} SIMD`])].join(', ');
  const rows = [
    ...(valid ? [['validation', ...scoreCells(valid)]] : []),
    ...(test ? [['test', ...scoreCells(test)]] : []),
  ];
  return [
    `${modelTitles[kind]} of ${counted(parameters, 'parameter')}, ${counted(steps, 'step')} in ${durationText(seconds)} on ${backend} (${machine})`,
    rows.length > 0
      ? `parameters after step ${selectedStep}:\n\n${textTable([['', 'accuracy', 'cross-entropy', 'samples'], ...rows])}`
      : 'no held-out recordings: the last parameters were kept',
    `model   ${model}\nreport  ${report}`,
  ].join('\n\n');
}
