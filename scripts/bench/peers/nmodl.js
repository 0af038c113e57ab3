// Writes a dendra mechanism as NMODL, so that NEURON runs the same equations: for the benchmark of cells.

/** x rel y ? a : b as an if; anything else as an assignment. */
function assign(name, formula) {
  const text = String(formula);
  const choice = /^(.+?)\s*(<=|>=|<|>)\s*(.+?)\s*\?\s*(.+?)\s*:\s*(.+)$/.exec(text);
  if (!choice) return `    ${name} = ${text}\n`;
  const [, a, relation, b, yes, no] = choice;
  return `    if (${a} ${relation} ${b}) { ${name} = ${yes} } else { ${name} = ${no} }\n`;
}

/** The text of a .mod file. `m` is a Mechanism. */
export function nmodl(m) {
  const d = m.description;
  const point = m.kind === 'point';
  const parameters = Object.keys(m.parameters);
  const definitions = Object.entries(d.definitions ?? {});
  const states = Object.entries(d.states ?? {});
  const currents = Object.entries(d.currents ?? {});
  const all = JSON.stringify(d);
  const uses = (word) => new RegExp(`\\b${word}\\b`).test(all);
  const ions = ['na', 'k', 'ca'].flatMap((ion) => {
    const writes = currents.some(([name]) => name === ion) ? [`i${ion}`] : [];
    const reads = [
      `e${ion}`,
      ...(d.writes?.includes(ion) ? [] : [`${ion}i`]),
      ...(writes.length ? [] : [`i${ion}`]),
    ].filter(uses);
    if (d.writes?.includes(ion)) writes.push(`${ion}i`);
    if (reads.length + writes.length === 0) return [];
    const read = reads.length ? ` READ ${reads.join(', ')}` : '';
    return [`    USEION ${ion}${read}${writes.length ? ` WRITE ${writes.join(', ')}` : ''}\n`];
  });
  const local = currents.some(([ion]) => ion === 'nonspecific') ? '    NONSPECIFIC_CURRENT i\n' : '';
  const definedIn = (formulas) =>
    definitions.filter(([name]) => formulas.some((f) => new RegExp(`\\b${name}\\b`).test(String(f))));
  const formulasOf = (s) => Object.values(s);
  const needed = new Set();
  const collect = (formulas) => {
    for (const [name, formula] of definedIn(formulas)) {
      if (needed.has(name)) continue;
      needed.add(name);
      collect([formula]);
    }
  };
  const only = (formulas) => {
    needed.clear();
    collect(formulas);
    return definitions.filter(([name]) => needed.has(name));
  };
  // A state whose limit and time constant are constant decays: the derivative is written out, with no rates to compute.
  const decays = point;
  const rateDefinitions = only(states.flatMap(([, s]) => formulasOf(s)));
  const rates = states
    .map(([name, s]) => {
      if ('inf' in s) return assign(`${name}Inf`, s.inf) + assign(`${name}Tau`, s.tau);
      const [a, b] = [`a_${name}`, `b_${name}`];
      const speed = s.speed === undefined ? '' : `/(${s.speed})`;
      return `${assign(a, s.alpha)}${assign(b, s.beta)}    ${name}Inf = ${a}/(${a}+${b})\n    ${name}Tau = (1/(${a}+${b}))${speed}\n`;
    })
    .join('');
  const locals = [
    ...rateDefinitions.map(([name]) => name),
    ...states.flatMap(([name, s]) => ('alpha' in s ? [`a_${name}`, `b_${name}`] : [])),
  ];
  const currentDefinitions = only(currents.map(([, f]) => f));
  const names = states.map(([name]) => name);
  const concentration = d.writes?.length > 0;
  const derivative = decays
    ? names.map((name) => `    ${name}' = -${name}/${states.find(([n]) => n === name)[1].tau}\n`).join('')
    : concentration
      ? "    cai' = -10000*ica*gamma/(2*faraday*depth) - (cai-minCai)/decay\n"
      : `    rates()\n${names.map((name) => `    ${name}' = (${name}Inf-${name})/${name}Tau\n`).join('')}`;
  const hasRates = !decays && !concentration && names.length > 0;
  const head = `NEURON {
    ${point ? 'POINT_PROCESS' : 'SUFFIX'} ${m.name === 'pas' || m.name === 'hh' ? `${m.name}_dendra` : m.name}
${ions.join('')}${local}    RANGE ${[...parameters, ...(hasRates ? names.flatMap((n) => [`${n}Inf`, `${n}Tau`]) : []), ...(point ? currentDefinitions.map(([n]) => n) : [])].join(', ')}
}
`;
  const assigned = ['v', 'celsius', 'ena', 'ek', 'eca', 'ina', 'ik', 'ica', ...(concentration ? [] : ['cai'])].filter(
    (word) => word === 'v' || word === 'celsius' || ions.join('').includes(word),
  );
  return `${head}PARAMETER {
${parameters.map((name) => `    ${name} = ${m.parameters[name]}\n`).join('')}    faraday = 96485.33212
}
ASSIGNED {
${[...assigned, ...(local ? ['i'] : []), ...(hasRates ? names.flatMap((n) => [`${n}Inf`, `${n}Tau`]) : [])].map((name) => `    ${name}\n`).join('')}${currentDefinitions.map(([n]) => `    ${n}\n`).join('')}}
${names.length ? `STATE { ${names.join(' ')} }\n` : ''}BREAKPOINT {
${names.length ? '    SOLVE states METHOD cnexp\n' : ''}${currentDefinitions.map(([name, f]) => assign(name, f)).join('')}${currents.map(([ion, f]) => assign(ion === 'nonspecific' ? 'i' : `i${ion}`, f)).join('')}}
${names.length ? `DERIVATIVE states {\n${derivative}}\n` : ''}INITIAL {
${hasRates ? `    rates()\n${names.map((n) => `    ${n} = ${n}Inf\n`).join('')}` : decays ? names.map((n) => `    ${n} = 0\n`).join('') : ''}}
${hasRates ? `PROCEDURE rates() {\n${locals.length ? `    LOCAL ${locals.join(', ')}\n` : ''}${rateDefinitions.map(([n, f]) => assign(n, f)).join('')}${rates}}\n` : ''}${
  point
    ? `NET_RECEIVE(weight) {\n${m.events.map(({ state }) => `    ${state} = ${state} + weight*${eventAmount(m, state)}\n`).join('')}}\n`
    : ''
}`;
}

/** The amount of an event as a number: it depends on parameters alone, which the benchmark leaves at their defaults. */
function eventAmount(m, state) {
  const evaluate = (e) => {
    if (e.op === 'number') return e.value;
    if (e.op === 'variable') return m.parameters[e.name];
    if (e.op === 'negate') return -evaluate(e.a);
    if (['exp', 'log', 'sqrt', 'abs'].includes(e.op)) return Math[e.op](evaluate(e.a));
    const [a, b] = [evaluate(e.a), evaluate(e.b)];
    return { add: a + b, subtract: a - b, multiply: a * b, divide: a / b, power: a ** b }[e.op];
  };
  return evaluate(m.events.find((event) => event.state === state).amount);
}
