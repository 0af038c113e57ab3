import { durationText, progress, significant } from '../../src/train/progress.js';
import { assert, suite } from '../harness.js';

const test = suite('train/progress');

function capture(isTTY: boolean) {
  let text = '';
  let time = 0;
  const output = { isTTY, columns: 100, write: (part: string) => (text += part) };
  return { output, now: () => time, pass: (ms: number) => (time += ms), text: () => text };
}

test('elsewhere than on a terminal there is a plain line every ten seconds and at the end', () => {
  const { output, now, pass, text } = capture(false);
  const bar = progress({ label: 'train', total: 100, output, now });
  for (let step = 1; step <= 100; step++) {
    pass(250);
    bar.update(step, { loss: 0.5 });
  }
  bar.finish();
  assert.equal(text().split('\n'), [
    'train 40/100  4 steps/s  15 s left  loss 0.5',
    'train 80/100  4 steps/s  5 s left  loss 0.5',
    'train 100/100  4 steps/s  loss 0.5',
    '',
  ]);
});

test('a terminal line redraws itself at most ten times a second and fits the width', () => {
  const { output, now, pass, text } = capture(true);
  const bar = progress({ label: 'train', total: 1000, output, now });
  for (let step = 1; step <= 1000; step++) {
    pass(1);
    bar.update(step, { loss: 1 / 3 });
  }
  bar.line('saved');
  bar.finish();
  const draws = text().split('\r');
  assert.ok(draws.length >= 10 && draws.length <= 13, `${draws.length} draws`);
  assert.match(text(), /█+░+ 901\/1000 {2}1000 steps\/s {2}0 s left {2}loss 0\.3333/);
  assert.match(text(), /saved\n/);
  for (const draw of draws) assert.ok(draw.length < 110);
});

test('a resumed run counts its rate from where it went on', () => {
  const { output, now, pass, text } = capture(false);
  const bar = progress({ label: 'train', total: 100, from: 80, output, now });
  pass(10_000);
  bar.update(90);
  assert.is(text(), 'train 90/100  1 steps/s  10 s left\n');
});

test('numbers and durations read well', () => {
  assert.equal([0, 0.123456, 1234.5, 1e-5, 2.5e7, Number.NaN].map(significant), [
    '0',
    '0.1235',
    '1235',
    '1.00e-5',
    '2.50e+7',
    'NaN',
  ]);
  assert.equal([0.4, 59, 61, 3599, 7800].map(durationText), ['0 s', '59 s', '1 min 01 s', '59 min 59 s', '2 h 10 min']);
});

test.run();
