/**
 * @file Progress on standard error: one line that redraws itself on a terminal, now and then a plain line elsewhere.
 * Nothing is written more often than a person can read.
 */

/** Where progress goes; `process.stderr` fits. */
export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressOptions {
  /** what is counted, such as `'train'` */
  label: string;
  total: number;
  /** what was done before, when a run goes on; counts for the bar, not for the rate */
  from?: number;
  /** what one count is called in the rate, default `'steps'` */
  unit?: string;
  /** default `process.stderr`, or nowhere where there is none */
  output?: ProgressOutput;
  /** milliseconds, for tests; default `performance.now` */
  now?: () => number;
}

export interface Progress {
  /** @param notes shown after the rate, such as `{ loss: 0.12 }` */
  update(done: number, notes?: Record<string, number | string>): void;
  /** a line of its own that stays */
  line(text: string): void;
  /** draws the last state and ends the line */
  finish(): void;
}

const redrawMs = 100;
const plainMs = 10_000;

export function progress(options: ProgressOptions): Progress {
  const { label, total, from = 0, unit = 'steps', now = () => performance.now() } = options;
  const output = options.output ?? (globalThis.process?.stderr as ProgressOutput | undefined);
  const terminal = output?.isTTY === true;
  const interval = terminal ? redrawMs : plainMs;
  const started = now();
  let lastDrawn = terminal ? Number.NEGATIVE_INFINITY : started;
  let state = '';
  let shown = '';

  const clear = terminal ? '\r\u001b[2K' : '';
  const draw = () => {
    if (state === shown || state === '') return;
    const fitted = terminal ? state.slice(0, (output?.columns ?? 80) - 1) : state;
    output?.write(terminal ? `${clear}${fitted}` : `${fitted}\n`);
    shown = state;
  };
  return {
    update(done, notes = {}) {
      const time = now();
      const seconds = (time - started) / 1000;
      const rate = seconds > 0 ? (done - from) / seconds : 0;
      const left = rate > 0 ? `${durationText((total - done) / rate)} left` : '';
      const parts = [
        `${label} ${terminal ? `${bar(done / total)} ` : ''}${done}/${total}`,
        rate > 0 ? `${significant(rate)} ${unit}/s` : '',
        done < total ? left : '',
        ...Object.entries(notes).map(
          ([key, value]) => `${key} ${typeof value === 'number' ? significant(value) : value}`,
        ),
      ];
      state = parts.filter((part) => part !== '').join('  ');
      if (time - lastDrawn < interval) return;
      lastDrawn = time;
      draw();
    },
    line(text) {
      output?.write(`${shown === '' ? '' : clear}${text}\n`);
      shown = '';
    },
    finish() {
      draw();
      if (terminal && shown !== '') output?.write('\n');
      state = '';
      shown = '';
    },
  };
}

function bar(fraction: number): string {
  const width = 20;
  const full = Math.round(width * Math.min(Math.max(fraction, 0), 1));
  return '█'.repeat(full) + '░'.repeat(width - full);
}

/** Four significant digits, without an exponent where one isn't needed. */
export function significant(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** `42 s`, `3 min 05 s`, `2 h 10 min` */
export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`;
}
