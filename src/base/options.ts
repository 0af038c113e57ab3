/**
 * @file Options objects: declared as valibot schemas, refused with the field and value named and the nearest right name
 * where a key is unknown.
 */
import * as v from 'valibot';
import { DendraError, describe, nearest } from './errors.js';

/**
 * The validated options, defaults filled in.
 *
 * @param where the function, for the error
 * @param schema a `v.strictObject(…)`
 * @param value what the caller gave; undefined counts as {}
 */
export function parseOptions<S extends v.GenericSchema>(where: string, schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value ?? {});
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = v.getDotPath(issue) ?? '';
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const known = 'entries' in schema ? Object.keys(schema.entries as object) : [];
    const near = nearest(path, known);
    const inner = path.includes('.');
    const advice = inner
      ? 'remove it, or check its name'
      : near
        ? `did you mean ${near}?`
        : `known options: ${known.join(', ')}`;
    throw new DendraError('input', `${where}: unknown option \`${path}\`; ${advice}`);
  }
  if (issue.type === 'strict_object' && issue.input === undefined && path !== '') {
    throw new DendraError('input', `${where}: expected \`${path}\`, got nothing; give it`);
  }
  const expected =
    issue.type === 'check' || issue.kind === 'validation' ? issue.message : (issue.expected ?? issue.message);
  throw new DendraError(
    'input',
    `${where}: expected \`${path || 'options'}\` ${expected}, got ${describe(issue.input)}`,
  );
}

export { v as schema };
