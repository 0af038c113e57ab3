import fc from 'fast-check';
import { digitOfWord, fitsRule, labelTable, namePattern, nameRule } from '../../src/data/index.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('data/names');

const word = fc.stringMatching(/^[a-zA-Z0-9]{1,8}$/);

test('what a pattern is filled with is what it reads back', () => {
  fc.assert(
    fc.property(word, word, word, fc.constantFrom('_', '-', '.', ' + ', '/'), (label, speaker, take, between) => {
      const fields = ['{digit}', '{speaker}', '{take}'];
      const read = namePattern(`${fields.join(between)}.wav`);
      assert.equal(read(`some/folder/${[label, speaker, take].join(between)}.WAV`), {
        digit: label,
        speaker,
        take,
        label,
      });
    }),
  );
});

/** A cell as a table writes it. */
const quoted = (cell: string, separator: string) =>
  cell.includes(separator) || cell.includes('"') || cell !== cell.trim() ? `"${cell.replaceAll('"', '""')}"` : cell;

test('a table of labels comes back, whatever its cells hold', () => {
  const cell = fc.stringMatching(/^[ -~]{1,12}$/).filter((text) => text.trim() !== '');
  fc.assert(
    fc.property(
      fc.uniqueArray(word, { minLength: 1, maxLength: 8 }),
      fc.array(cell, { minLength: 8, maxLength: 8 }),
      fc.constantFrom(',', ';', '\t'),
      fc.constantFrom('\n', '\r\n'),
      (files, cells, separator, end) => {
        const lines = files.map((file, i) =>
          [`${file}.wav`, cells[i]].map((one) => quoted(one, separator)).join(separator),
        );
        const table = labelTable([`file${separator}label`, ...lines, ''].join(end), 'table.csv');
        for (const [i, file] of files.entries()) {
          const { label } = table.fieldsOf(`deep/${file}.wav`) ?? {};
          assert.is(label, cells[i]);
        }
        assert.equal(table.unused(), []);
        assert.is(table.fieldsOf('deep/of none.wav'), undefined);
      },
    ),
  );
});

test('the longest path of a table counts, and rows that nobody asks for are told', () => {
  const table = labelTable('file,word\na/x.wav,one\nb/x.wav,two\nx.wav,three\ny.wav,four\n', 't.csv');
  assert.equal(
    ['in/a/x.wav', 'in\\b\\x.wav', 'c/x.wav'].map((path) => table.fieldsOf(path)?.label),
    ['one', 'two', 'three'],
  );
  assert.equal(table.unused(), ['y.wav']);
});

test('a damaged table is refused by line and column', async () => {
  for (const [text, message] of [
    ['name,label\na,b\n', /t\.csv: line 1: expected a column named file, got name, label/],
    ['file,speaker\na,b\n', /t\.csv: line 1: expected a column named label, got file, speaker/],
    ['file,label,label\na,b,c\n', /t\.csv: line 1: expected every column once, got "label" twice/],
    ['file,label\n\na\n', /t\.csv: line 3: expected 2 cells, got 1/],
    ['file,label\na,b,c\n', /t\.csv: line 2: expected 2 cells, got 3/],
    ['file,label\na,\n', /t\.csv: line 2: label: expected a value, got an empty cell/],
    ['file,label\na.wav,b\na,c\n', /t\.csv: line 3: file: expected every file once, got a again/],
    ['file,label\n"a,b\n', /t\.csv: line 2: expected a closing quote, got the end of the line/],
    ['file,label\n"a"b,c\n', /t\.csv: line 2: expected the next cell after a closing quote, got "b,c"/],
    ['file,label\n', /t\.csv: expected at least one row, got none/],
    ['', /t\.csv: line 1: expected a column named file/],
  ] as const) {
    await throws(() => labelTable(text, 't.csv'), message, JSON.stringify(text));
  }
});

test('rules name a part by a field', async () => {
  const rule = nameRule('--test', 'take=0-4, 9,x');
  const of = (take: string) => fitsRule(rule, { take });
  assert.equal(['0', '04', '4', '5', '9', 'x', ''].map(of), [true, true, true, false, true, true, false]);
  assert.is(fitsRule(rule, { speaker: '1' }), false);
  await throws(() => nameRule('--test', 'theo'), /--test: expected field=value, .*, got "theo"/);
  await throws(() => nameRule('--test', 'take=4-1'), /--test: expected a range from low to high, got "4-1"/);
  await throws(() => nameRule('--test', 'take=1,,2'), /--test: expected values between the commas/);
});

test('words of digits', () => {
  assert.equal(['zero', ' Nine', 'null', 'zwei', 'ten'].map(digitOfWord), [0, 9, 10, 12, undefined]);
});

test.run();
