/**
 * @file Formulas of mechanisms: parsed by mathjs into a small tree that can be folded, differentiated, evaluated in
 * float64 and written out as WebAssembly.
 *
 * Allowed: numbers, names, + − * / ^, exp, log, sqrt, abs, and `condition ? a : b` with < <= > >=. A function of the
 * voltage alone may also be read off a grid (`sampled`), as NEURON's TABLE statement does.
 */
import { create, type MathNode, parseDependencies } from 'mathjs';
import { DendraError, inputError } from '../../base/errors.js';

export type Relation = '<' | '<=' | '>' | '>=';
export type BinaryOperation = 'add' | 'subtract' | 'multiply' | 'divide' | 'power';
export type UnaryOperation = 'negate' | 'exp' | 'log' | 'sqrt' | 'abs';

export type Expression =
  | { readonly op: 'number'; readonly value: number }
  | { readonly op: 'variable'; readonly name: string }
  | { readonly op: BinaryOperation; readonly a: Expression; readonly b: Expression }
  | { readonly op: UnaryOperation; readonly a: Expression }
  | {
      readonly op: 'select';
      readonly relation: Relation;
      readonly a: Expression;
      readonly b: Expression;
      readonly yes: Expression;
      readonly no: Expression;
    }
  | { readonly op: 'sampled'; readonly a: Expression; readonly grid: Grid };

/** Voltages at which a function is known: from, from + step, … to; linear in between, constant beyond. */
export interface Grid {
  readonly fromMv: number;
  readonly toMv: number;
  readonly stepMv: number;
}

const math = create(parseDependencies, {});

const binaries: Record<string, BinaryOperation> = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
  '^': 'power',
};
const functions = ['exp', 'log', 'sqrt', 'abs'] as const;
const relations = ['<', '<=', '>', '>='];

/** The longest formula, in characters, and the largest, in operations and operands once definitions are put in. */
const longest = 2000;
const largest = 2000;

/** Parses a formula; `where` names it in errors. */
export function parseExpression(text: string, where: string): Expression {
  if (text.length > longest) throw inputError(where, `a formula of at most ${longest} characters`, text.length);
  let tree: MathNode;
  try {
    tree = math.parse(text);
  } catch (error) {
    throw inputError(where, 'a formula', quoted(text), (error as Error).message);
  }
  return convert(tree, where, text);
}

const quoted = (text: string): string => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);

/**
 * Replaces names by the formulas they stand for.
 *
 * @throws where that makes the formula too large: definitions of definitions double quickly
 */
export function expand(e: Expression, replace: (name: string) => Expression | undefined, where: string): Expression {
  const size = (part: Expression): number => {
    const inner = part.op === 'variable' ? replace(part.name) : undefined;
    return inner ? sizeOf(inner) : 1 + childrenOf(part).reduce((sum, child) => sum + size(child), 0);
  };
  const parts = size(e);
  if (parts > largest) throw inputError(where, `a formula of at most ${largest} parts, its definitions put in`, parts);
  return substitute(e, replace);
}

const sizeOf = (e: Expression): number => 1 + childrenOf(e).reduce((sum, child) => sum + sizeOf(child), 0);

/** The parts of mathjs's nodes that are read here. */
interface Parsed {
  type: string;
  op?: string;
  name?: string;
  value?: unknown;
  fn?: { name?: string };
  args?: MathNode[];
  content?: MathNode;
  condition?: MathNode;
  trueExpr?: MathNode;
  falseExpr?: MathNode;
}

function convert(tree: MathNode, where: string, text: string): Expression {
  const node = tree as unknown as Parsed;
  const inner = (child: MathNode | undefined) => convert(child!, where, text);
  const refuse = (what: string) =>
    inputError(where, 'numbers, names, + - * / ^, exp, log, sqrt, abs and a ? b : c', `${what} in ${quoted(text)}`);
  switch (node.type) {
    case 'ConstantNode':
      if (typeof node.value !== 'number' || !Number.isFinite(node.value)) throw refuse(quoted(String(node.value)));
      return number(node.value);
    case 'SymbolNode':
      return variable(node.name!);
    case 'ParenthesisNode':
      return inner(node.content);
    case 'OperatorNode': {
      const [a, b] = node.args!;
      if (node.args!.length === 1 && node.op === '-') return negate(inner(a));
      if (node.args!.length === 1 && node.op === '+') return inner(a);
      const op = binaries[node.op!];
      if (node.args!.length !== 2 || !op) throw refuse(`the operator ${node.op}`);
      return binary(op, inner(a), inner(b));
    }
    case 'FunctionNode': {
      const name = functions.find((known) => known === node.fn?.name);
      if (!name || node.args!.length !== 1) throw refuse(`the function ${node.fn?.name}`);
      return unary(name, inner(node.args![0]));
    }
    case 'ConditionalNode': {
      const condition = node.condition as unknown as Parsed;
      if (condition.type !== 'OperatorNode' || !relations.includes(condition.op!)) throw refuse('this condition');
      const [a, b] = condition.args!;
      const [yes, no] = [inner(node.trueExpr), inner(node.falseExpr)];
      return { op: 'select', relation: condition.op as Relation, a: inner(a), b: inner(b), yes, no };
    }
    default:
      throw refuse(`a ${node.type}`);
  }
}

export const number = (value: number): Expression => ({ op: 'number', value });
export const variable = (name: string): Expression => ({ op: 'variable', name });

/** A unary operation, folded where its operand is a number. */
export function unary(op: UnaryOperation, a: Expression): Expression {
  if (a.op === 'number') return number(unaryValue(op, a.value));
  if (op === 'negate' && a.op === 'negate') return a.a;
  return { op, a };
}

export const negate = (a: Expression): Expression => unary('negate', a);

const isNumber = (e: Expression, value: number) => e.op === 'number' && e.value === value;

/** A binary operation, folded where both operands are numbers or one of them changes nothing. */
export function binary(op: BinaryOperation, a: Expression, b: Expression): Expression {
  if (a.op === 'number' && b.op === 'number') return number(binaryValue(op, a.value, b.value));
  if (op === 'add') {
    if (isNumber(a, 0)) return b;
    if (isNumber(b, 0)) return a;
  } else if (op === 'subtract') {
    if (isNumber(b, 0)) return a;
    if (isNumber(a, 0)) return negate(b);
  } else if (op === 'multiply') {
    if (isNumber(a, 0) || isNumber(b, 0)) return number(0);
    if (isNumber(a, 1)) return b;
    if (isNumber(b, 1)) return a;
  } else if (op === 'divide') {
    if (isNumber(a, 0)) return number(0);
    if (isNumber(b, 1)) return a;
  } else {
    if (isNumber(b, 1)) return a;
    if (isNumber(b, 0)) return number(1);
  }
  return { op, a, b };
}

export const add = (a: Expression, b: Expression): Expression => binary('add', a, b);
export const subtract = (a: Expression, b: Expression): Expression => binary('subtract', a, b);
export const multiply = (a: Expression, b: Expression): Expression => binary('multiply', a, b);
export const divide = (a: Expression, b: Expression): Expression => binary('divide', a, b);

/** A function of the voltage taken from its values on a grid. */
export const sampled = (a: Expression, grid: Grid): Expression =>
  variablesOf(a).has('v') ? { op: 'sampled', a, grid } : a;

export function unaryValue(op: UnaryOperation, a: number): number {
  return op === 'negate' ? -a : Math[op](a);
}

export function binaryValue(op: BinaryOperation, a: number, b: number): number {
  switch (op) {
    case 'add':
      return a + b;
    case 'subtract':
      return a - b;
    case 'multiply':
      return a * b;
    case 'divide':
      return a / b;
    case 'power':
      return a ** b;
  }
}

export function holds(relation: Relation, a: number, b: number): boolean {
  if (relation === '<') return a < b;
  if (relation === '<=') return a <= b;
  return relation === '>' ? a > b : a >= b;
}

/** Replaces variables (undefined: leaves them), folding what becomes constant. */
export function substitute(e: Expression, replace: (name: string) => Expression | undefined): Expression {
  switch (e.op) {
    case 'number':
      return e;
    case 'variable':
      return replace(e.name) ?? e;
    case 'negate':
    case 'exp':
    case 'log':
    case 'sqrt':
    case 'abs':
      return unary(e.op, substitute(e.a, replace));
    case 'sampled':
      return sampled(substitute(e.a, replace), e.grid);
    case 'select': {
      const [a, b] = [substitute(e.a, replace), substitute(e.b, replace)];
      const [yes, no] = [substitute(e.yes, replace), substitute(e.no, replace)];
      if (a.op === 'number' && b.op === 'number') return holds(e.relation, a.value, b.value) ? yes : no;
      return { op: 'select', relation: e.relation, a, b, yes, no };
    }
    default:
      return binary(e.op, substitute(e.a, replace), substitute(e.b, replace));
  }
}

/** The names of the variables in a formula. */
export function variablesOf(e: Expression, found = new Set<string>()): Set<string> {
  if (e.op === 'variable') found.add(e.name);
  else if (e.op !== 'number') for (const child of childrenOf(e)) variablesOf(child, found);
  return found;
}

export function childrenOf(e: Expression): Expression[] {
  if (e.op === 'number' || e.op === 'variable') return [];
  if (e.op === 'select') return [e.a, e.b, e.yes, e.no];
  return 'b' in e ? [e.a, e.b] : [e.a];
}

/** The same operation on other operands. */
export function withOperands(e: Expression, replace: (operand: Expression) => Expression): Expression {
  if (e.op === 'number' || e.op === 'variable') return e;
  if (e.op === 'select') return { ...e, a: replace(e.a), b: replace(e.b), yes: replace(e.yes), no: replace(e.no) };
  return 'b' in e ? { ...e, a: replace(e.a), b: replace(e.b) } : { ...e, a: replace(e.a) };
}

/** ∂e/∂name. A condition counts as constant; |x| is not differentiated. */
export function derivative(e: Expression, name: string): Expression {
  if (!variablesOf(e).has(name)) return number(0);
  switch (e.op) {
    case 'number':
      return number(0);
    case 'variable':
      return number(1);
    case 'add':
    case 'subtract':
      return binary(e.op, derivative(e.a, name), derivative(e.b, name));
    case 'multiply':
      return add(multiply(derivative(e.a, name), e.b), multiply(e.a, derivative(e.b, name)));
    case 'divide': {
      const [da, db] = [derivative(e.a, name), derivative(e.b, name)];
      return subtract(divide(da, e.b), divide(multiply(e.a, db), multiply(e.b, e.b)));
    }
    case 'power': {
      if (e.b.op !== 'number') throw new DendraError('input', `derivative: expected a number as exponent of ${name}`);
      return multiply(multiply(e.b, binary('power', e.a, number(e.b.value - 1))), derivative(e.a, name));
    }
    case 'negate':
      return negate(derivative(e.a, name));
    case 'exp':
      return multiply(e, derivative(e.a, name));
    case 'log':
      return divide(derivative(e.a, name), e.a);
    case 'sqrt':
      return divide(derivative(e.a, name), multiply(number(2), e));
    case 'sampled':
      throw new DendraError('input', `derivative: a function sampled on a grid has none`);
    case 'abs':
      throw new DendraError('input', `derivative: abs of ${name} has none; write it with a ? b : c`);
    case 'select':
      return { ...e, yes: derivative(e.yes, name), no: derivative(e.no, name) };
  }
}

/** Reads a variable of one of many segments. */
export type Reader = (index: number) => number;

/** A function that evaluates the formula for segment `index`. */
export function evaluator(e: Expression, read: (name: string) => Reader): Reader {
  switch (e.op) {
    case 'number': {
      const { value } = e;
      return () => value;
    }
    case 'variable':
      return read(e.name);
    case 'select': {
      const [a, b, yes, no] = childrenOf(e).map((child) => evaluator(child, read));
      return (i) => (holds(e.relation, a(i), b(i)) ? yes(i) : no(i));
    }
    case 'negate':
    case 'exp':
    case 'log':
    case 'sqrt':
    case 'abs': {
      const a = evaluator(e.a, read);
      return (i) => unaryValue(e.op, a(i));
    }
    case 'sampled':
      return sampledReader(e.a, e.grid, read('v'));
    case 'power': {
      const a = evaluator(e.a, read);
      if (e.b.op === 'number' && Number.isInteger(e.b.value) && e.b.value >= 2 && e.b.value <= 8) {
        const times = e.b.value;
        return (i) => wholePower(a(i), times);
      }
      const b = evaluator(e.b, read);
      return (i) => a(i) ** b(i);
    }
    default: {
      const [a, b] = [evaluator(e.a, read), evaluator(e.b, read)];
      return (i) => binaryValue(e.op, a(i), b(i));
    }
  }
}

/** Distance at which both sides of a removable singularity are looked at, mV. */
export const besideMv = 1e-4;

function sampledReader(e: Expression, { fromMv, toMv, stepMv }: Grid, v: Reader): Reader {
  let here = 0;
  const exact = evaluator(e, () => () => here);
  const at = (mv: number) => {
    here = mv;
    return exact(0);
  };
  const cells = Math.round((toMv - fromMv) / stepMv);
  const values = Float64Array.from({ length: cells + 1 }, (_, i) => {
    const mv = fromMv + i * stepMv;
    const value = at(mv);
    return Number.isFinite(value) ? value : (at(mv - besideMv) + at(mv + besideMv)) / 2;
  });
  return (i) => {
    const place = Math.min(cells, Math.max(0, (v(i) - fromMv) / stepMv));
    const cell = Math.min(cells - 1, Math.floor(place));
    return values[cell] + (place - cell) * (values[cell + 1] - values[cell]);
  };
}

/** xⁿ by multiplication, in the order that the kernels use. */
function wholePower(x: number, n: number): number {
  let product = x;
  for (let k = 1; k < n; k++) product *= x;
  return product;
}

/** One name for equal formulas. */
export function keyOf(e: Expression): string {
  if (e.op === 'number') return String(e.value);
  if (e.op === 'variable') return e.name;
  const detail = e.op === 'select' ? e.relation : e.op === 'sampled' ? Object.values(e.grid).join(':') : '';
  return `${e.op}${detail}(${childrenOf(e).map(keyOf).join(',')})`;
}
