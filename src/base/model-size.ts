/** @file How large a fresh model may be: refused before anything is drawn or allocated, not when memory has run out. */
import { inputError } from './errors.js';

/** 4 GiB of float32: what a WebAssembly memory can hold at all. */
export const mostParameters = 2 ** 30;

/**
 * Refuses a configuration with more than `mostParameters` parameters. The error names the option that tells most: the one whose
 * halving leaves the fewest parameters, or the first of those that are as good within 1 %.
 *
 * @param sizes the options that decide the size
 * @param count the parameters of a configuration
 */
export function requireModelSize<C>(
  where: string,
  config: C,
  sizes: readonly (keyof C)[],
  count: (c: C) => number,
): void {
  const parameters = count(config);
  if (parameters <= mostParameters) return;
  const halved = (name: keyof C) => count({ ...config, [name]: Math.ceil(Number(config[name]) / 2) });
  const most = sizes.reduce((a, b) => (halved(b) < 0.99 * halved(a) ? b : a));
  throw inputError(
    where,
    `\`${String(most)}\` to be small enough for a model of at most ${mostParameters} parameters`,
    `${config[most]}, which makes ${parameters}`,
  );
}
