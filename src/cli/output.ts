/**
 * @file Standard output and error. A reader that went away (`dendra … | head`) is no error: what would have been written
 * is dropped and the work goes on. A full disk is one.
 */
import type { ProgressOutput } from '../train/index.js';

export interface Output {
  print(text: string): void;
  readonly progress: ProgressOutput;
  /** Waits until all is written; the error that stopped it, if one did. */
  finish(): Promise<Error | undefined>;
}

const quiet = (error: NodeJS.ErrnoException) => error.code === 'EPIPE' || error.code === 'EIO';

export function processOutput(): Output {
  const { stdout, stderr } = process;
  let failure: Error | undefined;
  let deaf = false;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    deaf = true;
    if (!quiet(error)) failure = error;
  });
  let mute = false;
  stderr.on('error', () => {
    mute = true;
  });
  return {
    print(text) {
      if (!deaf) stdout.write(`${text}\n`);
    },
    progress: {
      write(text) {
        if (!mute) stderr.write(text);
      },
      isTTY: stderr.isTTY,
      get columns() {
        // A terminal of unknown width says 0.
        return stderr.columns || undefined;
      },
    },
    async finish() {
      if (!deaf) await new Promise<void>((resolve) => stdout.write('', () => resolve()));
      return failure;
    },
  };
}
