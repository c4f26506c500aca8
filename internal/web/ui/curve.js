// Today's curve: the service level by quarter hour as a line, the calls as bars
// behind it.

import { h, put, svg } from './dom.js';
import { clock, percent, t } from './i18n.js';

const hm = { hour: '2-digit', minute: '2-digit' };

export class Curve {
  constructor({ small = false } = {}) {
    this.small = small;
    this.picture = svg('svg', { role: 'img' });
    this.words = h('figcaption', { class: small ? 'unseen' : 'under' });
    this.el = h('figure', { class: 'curve' }, this.picture, this.words);
  }

  /** Draws one curve of the day; none for a queue without calls. */
  show(day, curve, zone) {
    const summary = this.#summary(day, curve, zone);
    this.picture.setAttribute('aria-label', summary);
    put(this.words, summary);
    [this.width, this.height] = [this.picture.clientWidth || 400, this.picture.clientHeight || 60];
    const em = parseFloat(getComputedStyle(this.picture).fontSize) || 16;
    const { left, right, top, bottom } = this.small ? { left: 0, right: 0, top: 4, bottom: 2 } : { left: 3.6 * em, right: em, top: em, bottom: 1.9 * em };
    const first = curve ? Math.max(0, curve.calls.findIndex((n) => n > 0) - 1) : 0;
    const steps = curve ? Math.max(curve.calls.length - first, 8) : 8;
    const x = (i) => left + (i - first) / steps * (this.width - left - right);
    const y = (share) => top + (1 - share) * (this.height - top - bottom);
    const parts = this.small ? [] : this.#axis(day, first, steps, x, y, zone);
    if (curve) parts.push(...this.#marks(curve, first, x, y));
    this.picture.replaceChildren(...parts);
  }

  #marks(curve, first, x, y) {
    const most = Math.max(1, ...curve.calls);
    const parts = [];
    const line = [];
    let pen = 'M';
    for (let i = first; i < curve.calls.length; i++) {
      const [from, to] = [x(i), x(i + 1)];
      const share = curve.calls[i] / most * 0.9;
      if (share > 0) parts.push(svg('rect', { class: 'calls', x: from + 1, width: Math.max(1, to - from - 2), y: y(share), height: y(0) - y(share) }));
      if (curve.level[i] === null) { pen = 'M'; continue; }
      line.push(`${pen}${((from + to) / 2).toFixed(1)} ${y(curve.level[i]).toFixed(1)}`);
      if (pen === 'M' && (curve.level[i + 1] ?? null) === null) line.push('h0.1');
      pen = 'L';
    }
    if (line.length) parts.push(svg('path', { class: 'line', d: line.join('') }));
    const last = curve.level.findLastIndex((v) => v !== null);
    if (last >= 0) parts.push(svg('circle', { class: 'now', cx: (x(last) + x(last + 1)) / 2, cy: y(curve.level[last]), r: this.small ? 3.5 : 6 }));
    return parts;
  }

  #axis(day, first, steps, x, y, zone) {
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      parts.push(svg('line', { class: 'grid', x1: x(first), x2: x(first + steps), y1: y(share), y2: y(share) }),
        svg('text', { class: 'tick', x: x(first) - 8, y: y(share), 'dominant-baseline': 'central', 'text-anchor': 'end' }, Math.round(share * 100) + ' %'));
    }
    const room = Math.floor((this.width - 80) / 80); // labels
    const every = [1, 2, 4, 8, 12, 16, 24].find((n) => steps / n <= room) || 48;
    for (let i = Math.ceil(first / every) * every; i <= first + steps; i += every) {
      parts.push(svg('text', { class: 'tick', x: x(i), y: this.height - 6, 'text-anchor': i === first ? 'start' : i === first + steps ? 'end' : 'middle' },
        clock(day.start + i * day.step, zone, hm)));
    }
    return parts;
  }

  #summary(day, curve, zone) {
    const calls = curve ? curve.calls.reduce((a, b) => a + b, 0) : 0;
    if (calls === 0) return t('curve.none');
    let low = -1;
    curve.level.forEach((v, i) => { if (v !== null && (low < 0 || v < curve.level[low])) low = i; });
    return t('curve.sum', calls, percent(curve.level[low]), clock(day.start + low * day.step, zone, hm));
  }
}
