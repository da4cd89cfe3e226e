const LINEAR = 8;
/** 8 exact ones, then 8 for each power of two from 2^3 to 2^31 us (36 minutes). */
const BUCKETS = LINEAR + 29 * 8;
const LONGEST = 2 ** 32 - 1;

/**
 * Durations in log-linear buckets: 8 to each doubling of microseconds, so that a value is known to
 * 12.5% in 960 bytes, whatever comes.
 * @see Gil Tene's HdrHistogram, http://hdrhistogram.org
 */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  /** Samples that count now. */
  get total(): number {
    return this.#total;
  }

  /** @param duration milliseconds */
  record(duration: number): void {
    const micros = Math.min(LONGEST, Math.max(0, Math.round(duration * 1000)));
    const bucket = bucketOf(micros);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
  }

  /** Old samples weigh half of new ones from now on. */
  halve(): void {
    this.#total = 0;
    this.#counts.forEach((count, at) => (this.#total += this.#counts[at] = count >>> 1));
  }

  /** The duration in milliseconds that a fraction `rank` of the samples does not exceed, interpolated. */
  quantile(rank: number): number {
    let below = rank * this.#total;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket] as number;
      if (below <= count && count > 0) return within(bucket, below / count) / 1000;
      below -= count;
    }
    return within(BUCKETS - 1, 1) / 1000;
  }
}

function bucketOf(micros: number): number {
  if (micros < LINEAR) return micros;
  const octave = 31 - Math.clz32(micros);
  return (octave - 2) * 8 + ((micros >>> (octave - 3)) & 7);
}

/** The microseconds at `fraction` of a bucket. */
function within(bucket: number, fraction: number): number {
  if (bucket < LINEAR) return bucket;
  const width = 2 ** ((bucket >>> 3) - 1);
  return (8 + (bucket & 7) + fraction) * width;
}
