/** @file How much of the machine's memory may hold what could be read again. */

interface Globals {
  process?: {
    getBuiltinModule?: (name: 'node:os') => { totalmem(): number } | undefined;
    /** the limit of a container, or 0 or a number beyond the machine where there is none */
    constrainedMemory?: () => number | undefined;
  };
  /** a coarse power of two in GiB, at most 8; not in every browser */
  navigator?: { deviceMemory?: number };
}

const leastBytes = 2 ** 29;
const mostBytes = 2 ** 33;

/**
 * Bytes that a cache may take: a quarter of the memory of the machine or of the container, between 512 MiB and 8 GiB;
 * 512 MiB where it is not known.
 *
 * @param globals what there is; for tests
 */
export function cacheBudgetBytes({ process, navigator }: Globals = globalThis as Globals): number {
  const machine = process?.getBuiltinModule?.('node:os')?.totalmem() ?? (navigator?.deviceMemory ?? 0) * 2 ** 30;
  const limit = process?.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  return Math.min(mostBytes, Math.max(leastBytes, Math.floor(Math.min(machine, limit) / 4)));
}
