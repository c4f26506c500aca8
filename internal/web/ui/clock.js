// The engine's clock, as far as this page can tell. Waits are measured by it, and
// the clock of a screen on a wall may be minutes off.

export class Clock {
  #offset = Date.now() - performance.now();

  /** The engine's instant now, in milliseconds since the epoch. */
  now() { return performance.now() + this.#offset; }

  /** Begins anew with an instant that the daemon has just told. */
  reset(instant) { this.#offset = instant - performance.now(); }

  /** Learns from a message that was made at an instant: the one that came fastest
   * tells best. */
  learn(instant) { this.#offset = Math.max(this.#offset, instant - performance.now()); }
}

/** Delays that grow, each by chance a little different, so that many pages do not
 * come back to a daemon all at once. */
export class Backoff {
  #tries = 0;

  constructor(first = 500, most = 15000) { this.first = first; this.most = most; }

  reset() { this.#tries = 0; }

  next() {
    const full = Math.min(this.first * 1.8 ** this.#tries++, this.most);
    return full * (0.5 + Math.random() / 2);
  }
}
