import { parseDuration } from '../../lib/core/duration.js';

describe('a duration', () => {
  it.each<[unknown, number]>([
    [0, 0],
    [250, 250],
    [0.5, 0.5],
    [-3, -3],
    ['250ms', 250],
    ['250', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['1 minute', 60_000],
    ['10 Seconds', 10_000],
    ['-5s', -5000],
    ['5'.padEnd(99) + 's', 5000], // 100 characters
  ])('%p is %d ms', (given, expected) => {
    expect(parseDuration(given)).toBe(expected);
  });

  it.each<[unknown]>(
    [
      '',
      ' ',
      'soon',
      '5 parsecs',
      '1s 2s',
      '0x10',
      '9'.repeat(400),
      '5'.padEnd(100) + 's',
      NaN,
      Infinity,
      -Infinity,
      null,
      undefined,
      true,
      [],
      ['5s'],
      {},
      { valueOf: () => 5 },
      5n,
      Symbol('5s'),
      new Date(5),
      new String('5s'),
    ].map((given): [unknown] => [given]),
  )('%p is none', (given) => {
    expect(parseDuration(given)).toBeUndefined();
  });
});
