/**
 * @file The walk from chunk to chunk of a linear memory, which makes a scan parallel in time: every chunk is known by what it adds
 * to the state when it starts from zero, and by the sum of its Δ, so that
 *
 *     state before chunk c+1 = exp(rate · ΣΔ of c) · state before c + what c adds
 *
 * One invocation per sample, state and channel walks. Many chunks are walked in two levels, since one walk is a chain of reads that
 * leaves a GPU idle: stretches of chunks at once, each from zero; from stretch to stretch; the stretches again, each from its state.
 *
 * Legend: E channels, N states. What chunks add is [B, chunks, N, E], their sums [B, chunks, E].
 */
import { type Call, elementwise, type Ref } from '../builder.js';
import { u } from '../wgsl.js';

/** What a row of chunks, or of stretches of them, is known by. */
interface Row {
  readonly count: number;
  /** what each adds; after the walk the state before each */
  readonly added: Ref;
  readonly sums: Ref;
}

export interface ChunkWalk extends Row {
  readonly label: string;
  readonly samples: number;
  readonly channels: number;
  readonly states: number;
  /** P: channels that share a rate */
  readonly headWidth: number;
  /** the expression of A, given `head` and `n` */
  rate(): string;
  /** from the last chunk to the first */
  readonly isBackward: boolean;
  /** the expression of the state before the walk, and statements that use the one after it; at `stateAt` of [B, E, N] */
  start(): string;
  end(): string;
}

/** Chunks whose numbers are read before the first is used. */
const ahead = 8;
/** So many chunks are walked at one level: the chain is shorter than two more kernels. */
const mostAtOnce = 128;

export function walkChunks(call: Call, walk: ChunkWalk): void {
  const { samples, channels, states, count } = walk;
  if (count <= mostAtOnce) {
    walkAtOnce(call, walk);
    return;
  }
  const length = Math.ceil(Math.sqrt(count) / ahead) * ahead;
  const stretches = Math.ceil(count / length);
  const row = {
    count: stretches,
    added: call.temporary(samples * stretches * states * channels),
    sums: call.temporary(samples * stretches * channels),
  };
  const part = { ...walk, first: `stretch * ${u(length)}`, length };
  const invocations = samples * stretches * states * channels;
  // Stretches are counted in the direction of the walk, so their row is always walked forwards.
  const before = `((sample * ${u(stretches)} + stretch) * ${u(states)} + n) * ${u(channels)} + channel`;
  elementwise(
    call,
    `${walk.label}, stretches`,
    invocations,
    () => `${placeOf(walk, stretches)}
  var carried = 0f;
  var total = 0f;
${steps(part, false)}
  ${row.added.set(before, 'carried')}
  if (n == 0u) { ${row.sums.set(`(sample * ${u(stretches)} + stretch) * ${u(channels)} + channel`, 'total')} }`,
  );
  walkAtOnce(call, { ...walk, ...row, isBackward: false });
  elementwise(
    call,
    `${walk.label} of stretches`,
    invocations,
    () => `${placeOf(walk, stretches)}
  var carried = ${row.added.at(before)};
${steps(part, true)}`,
  );
}

/** From the state before the row to the one after it. */
function walkAtOnce(call: Call, walk: ChunkWalk): void {
  elementwise(
    call,
    walk.label,
    walk.samples * walk.states * walk.channels,
    () => `${placeOf(walk, 1)}
  var carried = ${walk.start()};
${steps({ ...walk, first: '0u', length: walk.count }, true)}
  ${walk.end()}`,
  );
}

/** Statements that name the invocation's channel, state, stretch and sample, and its rate. */
function placeOf({ channels, states, headWidth, rate }: ChunkWalk, stretches: number): string {
  return `let channel = i % ${u(channels)};
  let n = i / ${u(channels)} % ${u(states)};
  ${stretches > 1 ? `let stretch = i / ${u(channels * states)} % ${u(stretches)};` : ''}
  let sample = i / ${u(channels * states * stretches)};
  let head = channel / ${u(headWidth)};
  let rate = ${rate()};
  let stateAt = (sample * ${u(channels)} + channel) * ${u(states)} + n;`;
}

interface Stretch extends Row {
  readonly channels: number;
  readonly states: number;
  readonly isBackward: boolean;
  /** the place of the first in the direction of the walk, and how many there are, the last stretch may have fewer */
  readonly first: string;
  readonly length: number;
}

/** Statements that carry `carried` over a stretch; they keep the state before each, or else the `total` of the sums. */
function steps({ count, added, sums, channels, states, isBackward, first, length }: Stretch, keeps: boolean): string {
  const mayEnd = count % length !== 0;
  const turn = (many: number) => {
    const lines = Array.from({ length: many }, (_, k) => {
      const inside = mayEnd ? `min(t + ${u(k)}, ${u(count - 1)})` : `(t + ${u(k)})`;
      const exists = mayEnd ? `t + ${u(k)} < ${u(count)}` : 'true';
      return {
        read: `    let chunk${k} = sample * ${u(count)} + ${isBackward ? `${u(count - 1)} - ${inside}` : inside};
    let at${k} = (chunk${k} * ${u(states)} + n) * ${u(channels)} + channel;
    let added${k} = ${added.at(`at${k}`)};
    let sum${k} = select(0f, ${sums.at(`chunk${k} * ${u(channels)} + channel`)}, ${exists});`,
        use: `    ${keeps ? `if (${exists}) { ${added.set(`at${k}`, 'carried')} }` : `total += sum${k};`}
    carried = fma(exp(rate * sum${k}), carried, select(0f, added${k}, ${exists}));`,
      };
    });
    return [...lines.map(({ read }) => read), ...lines.map(({ use }) => use)].join('\n');
  };
  const whole = Math.floor(length / ahead) * ahead;
  return `  let first = ${first};
  for (var t = first; t < first + ${u(whole)}; t += ${u(ahead)}) {
${turn(ahead)}
  }
  ${length > whole ? `{\n    let t = first + ${u(whole)};\n${turn(length - whole)}\n  }` : ''}`;
}
