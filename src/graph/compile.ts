/** @file Trace once, run many: a function over symbolic tensors becomes an async function over arrays. */
import type { Shape } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import type { Feeds, Outputs, Plan, Session } from './backend.js';
import type { Program } from './program.js';

export interface Compiled<Name extends string> {
  /** Runs the plan for the shapes of these feeds, compiling it the first time they are seen. */
  (feeds: Feeds, outputs?: readonly Name[]): Promise<Outputs<Name>>;
  /** The plan for the shapes of these feeds. */
  plan(feeds: Feeds): Promise<Plan<Name>>;
  dispose(): void;
}

/**
 * Compiles `build` for a session. `build` is called once for every new set of input shapes and returns the program for
 * them; `shapesOf` says which shapes a set of feeds has, by input name.
 */
export function compile<Name extends string, Shapes extends Readonly<Record<string, Shape>>>(
  session: Session,
  build: (shapes: Shapes) => Program<Name>,
  shapesOf: (feeds: Feeds) => Shapes,
): Compiled<Name> {
  const plans = new Map<string, Promise<Plan<Name>>>();
  let disposed = false;
  const plan = (feeds: Feeds): Promise<Plan<Name>> => {
    if (disposed) throw inputError('compile', 'a plan that was not disposed of', 'a run after dispose()');
    const shapes = shapesOf(feeds);
    const key = JSON.stringify(shapes);
    let known = plans.get(key);
    if (!known) {
      known = session.compile(build(shapes));
      plans.set(key, known);
      // A failed compilation is not remembered, so that the caller may mend and try again.
      known.catch(() => plans.delete(key));
    }
    return known;
  };
  const run = async (feeds: Feeds, outputs?: readonly Name[]) => (await plan(feeds)).run(feeds, outputs);
  return Object.assign(run, {
    plan,
    dispose() {
      disposed = true;
      for (const pending of plans.values()) {
        pending.then(
          (ready) => ready.dispose(),
          () => {},
        );
      }
      plans.clear();
    },
  });
}
