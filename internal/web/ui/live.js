// The stream of figures behind the wallboard: it comes back by itself, and knows
// how old what it has is.

import { Backoff, Clock } from './clock.js';
import { stillKnown } from './who.js';

// A hidden page gives its connection back after this long: a browser opens only
// six to one server.
const hiddenFor = 30000;

export class Live {
  clock = new Clock();
  beat = 5000;
  zone = '';
  site = '';
  fresh = false; // a snapshot came on this connection
  figures = null;
  day = null;
  #heard = -Infinity; // performance.now() of the last snapshot
  #retryAt = 0;
  #backoff = new Backoff();
  #source = null;
  #timer = 0;
  #version = '';

  /** `changed` is called whenever there is something new to show. */
  constructor(url, changed) {
    this.url = url;
    this.changed = changed;
    let hidden = 0;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#close(), hiddenFor);
      else if (!this.#source) this.open();
    });
    addEventListener('online', () => { if (!this.#source) this.open(); });
    // A connection that has silently died brings no error: the beat is missed.
    setInterval(() => { if (this.#source && performance.now() - this.#heard > 3 * this.beat) this.#lose(); }, 1000);
  }

  open() {
    this.#close();
    this.#retryAt = 0;
    this.#heard = Math.max(this.#heard, performance.now() - this.beat); // time to answer
    const source = this.#source = new EventSource(this.url);
    const on = (kind, act) => source.addEventListener(kind, (e) => { if (source === this.#source) act(JSON.parse(e.data)); });
    on('hello', (hello) => this.#hello(hello));
    on('snapshot', (figures) => {
      this.clock.learn(figures.at);
      this.#backoff.reset();
      this.#heard = performance.now();
      this.fresh = true;
      this.figures = figures;
      this.changed();
    });
    on('day', (day) => { this.day = day; this.changed(); });
    source.addEventListener('error', () => { if (source === this.#source) this.#lose(); });
    this.changed();
  }

  #hello(hello) {
    // Another daemon may serve other pages: take those.
    if (this.#version && this.#version !== hello.version) location.reload();
    this.#version = hello.version;
    this.clock.reset(hello.now);
    Object.assign(this, { beat: hello.beat, zone: hello.zone, site: hello.site });
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.fresh = false;
  }

  #lose() {
    this.#close();
    const delay = this.#backoff.next();
    this.#retryAt = performance.now() + delay;
    this.#timer = setTimeout(() => { if (!document.hidden) this.open(); }, delay);
    stillKnown(); // an EventSource does not say why it failed
    this.changed();
  }

  /** The instant that the page shows: now, or that of the data when it is old. */
  get at() { return this.stale ? this.figures.at : this.clock.now(); }

  /** How old the data is, in milliseconds, when that is worth telling; else 0. */
  get stale() {
    if (!this.figures) return 0;
    const age = performance.now() - this.#heard;
    const limit = this.fresh ? this.beat * 1.5 + 1000 : 1500;
    return age > limit ? this.clock.now() - this.figures.at : 0;
  }

  /** "live", "connecting" or "lost". */
  get state() { return this.#source ? (this.fresh ? 'live' : 'connecting') : 'lost'; }

  /** Milliseconds until the next try. */
  get retryIn() { return Math.max(0, this.#retryAt - performance.now()); }
}
