import { LatencyHistogram } from '../../lib/core/latency-histogram.js';

const histogramOf = (...durations: number[]): LatencyHistogram => {
  const histogram = new LatencyHistogram();
  for (const duration of durations) histogram.record(duration);
  return histogram;
};

describe('a histogram of latencies', () => {
  it.each([
    // milliseconds in, the edges of their bucket
    [0, 0, 0],
    [-5, 0, 0],
    [0.0004, 0, 0],
    [0.001, 0.001, 0.001],
    [0.007, 0.007, 0.007],
    [0.008, 0.008, 0.009],
    [0.015, 0.015, 0.016],
    [0.016, 0.016, 0.018],
    [0.031, 0.03, 0.032],
    [1, 0.96, 1.024],
    [100, 98.304, 106.496],
    [2 ** 32 / 1000, 4_026_531.84, 4_294_967.296],
    [1e15, 4_026_531.84, 4_294_967.296],
    [Infinity, 4_026_531.84, 4_294_967.296],
  ])('knows that %d ms is between %d and %d', (duration, least, most) => {
    const histogram = histogramOf(duration);
    expect(histogram.total).toBe(1);
    expect(histogram.quantile(0)).toBeCloseTo(least, 9);
    expect(histogram.quantile(1)).toBeCloseTo(most, 9);
  });

  it('interpolates within a bucket, and passes over empty ones', () => {
    const histogram = histogramOf(0.016, 0.017, 0.001, 100);
    expect(histogram.quantile(0.25)).toBeCloseTo(0.001, 9);
    expect(histogram.quantile(0.5)).toBeCloseTo(0.017, 9);
    expect(histogram.quantile(0.75)).toBeCloseTo(0.018, 9);
    expect(histogram.quantile(0.76)).toBeGreaterThan(98);
  });

  it('lets old samples weigh half', () => {
    const histogram = histogramOf(1, 1, 1, 1, 100, 100);
    histogram.halve();
    expect(histogram.total).toBe(3);
    histogram.record(100);
    expect(histogram.total).toBe(4);
    expect(histogram.quantile(0.5)).toBeCloseTo(1.024, 9);
    expect(histogram.quantile(0.51)).toBeGreaterThan(98);
  });

  it('without samples knows only that nothing takes longer than it can tell', () => {
    expect(histogramOf().quantile(0.5)).toBeCloseTo(4_294_967.296, 9);
  });
});
