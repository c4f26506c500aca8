// A card for each queue: per tier the service level against its target, who waits,
// and the longest wait, counting.

import { Curve } from './curve.js';
import { h, mark, put, style } from './dom.js';
import { goal, percent, seconds, span, t } from './i18n.js';
import { AgentBar, lateOf, sign, standing, urgency } from './tiles.js';

class Row {
  constructor() {
    this.name = h('th', { scope: 'row' });
    this.sign = h('span', { class: 'sign', 'aria-hidden': 'true' });
    this.level = h('b');
    this.fill = h('span', { class: 'part' });
    this.tick = h('span', { class: 'tick' });
    this.under = h('span', { class: 'under' });
    this.waiting = h('td', { class: 'number' });
    this.wait = h('td', { class: 'number wait' });
    this.el = h('tr', {}, this.name,
      h('td', { class: 'level' }, h('p', {}, this.level, ' ', this.sign, ' ', this.under),
        h('div', { class: 'bar', 'aria-hidden': 'true' }, this.fill, this.tick)),
      this.waiting, this.wait);
  }

  show(tier, queue, at) {
    const kind = standing(tier);
    const wait = tier.waiting > 0 ? at - tier.oldest : 0;
    const urgent = tier.waiting > 0 ? urgency(wait, queue.threshold, tier.target !== null) : '';
    mark(this.el, 'data-tier', tier.tier);
    mark(this.el, 'data-standing', kind);
    mark(this.el, 'data-urgency', urgent);
    mark(this.el, 'hidden', tier.tier === 'blacklist' && tier.waiting + tier.answered + tier.abandoned === 0);
    put(this.name, t('tier.' + tier.tier));
    put(this.level, tier.level === null ? '–' : percent(tier.level));
    put(this.sign, sign(kind));
    put(this.under, tier.target === null ? t('no.target') : tier.level === null ? t('target', goal(tier.target)) : '/ ' + goal(tier.target));
    style(this.fill, 'width', ((tier.level ?? 0) * 100).toFixed(1) + '%');
    mark(this.tick, 'hidden', tier.target === null);
    style(this.tick, 'left', ((tier.target ?? 0) * 100).toFixed(1) + '%');
    put(this.waiting, String(tier.waiting));
    mark(this.el, 'data-nobody', tier.waiting === 0);
    put(this.wait, tier.waiting > 0 ? (urgent ? sign(urgent) + ' ' : '') + span(wait) : '–');
  }
}

class Card {
  constructor(name, open) {
    this.name = name;
    this.title = h('button', { class: 'title', type: 'button', onclick: () => open(name) }, name);
    this.note = h('span', { class: 'note' });
    this.flag = h('span', { class: 'flag', hidden: true });
    this.heads = ['col.tier', 'col.level', 'col.waiting', 'col.oldest'].map((key) => [key, h('th', { scope: 'col' })]);
    this.rows = [];
    this.body = h('tbody');
    this.bar = new AgentBar();
    this.curve = new Curve({ small: true });
    this.el = h('article', { class: 'panel queue' },
      h('header', {}, h('h2', {}, this.title), this.note, this.flag),
      h('table', {}, h('thead', {}, h('tr', {}, this.heads.map(([, th]) => th))), this.body),
      h('footer', {}, h('div', { class: 'staff' }, this.bar.bar, this.bar.legend), this.curve.el));
  }

  show(queue, at) {
    for (const [key, th] of this.heads) put(th, t(key));
    while (this.rows.length < queue.tiers.length) {
      const row = new Row();
      this.rows.push(row);
      this.body.append(row.el);
    }
    let late = 0;
    queue.tiers.forEach((tier, i) => {
      late += lateOf(tier, queue, at);
      this.rows[i].show(tier, queue, at);
    });
    const waiting = queue.tiers.reduce((n, tier) => n + tier.waiting, 0);
    const notes = [queue.open ? t('limit', seconds(queue.threshold)) : t('queue.closed')];
    if (queue.capacity > 0) notes.push(t('queue.full', waiting, queue.capacity));
    if (queue.callbacks > 0) notes.push(t('callbacks') + ': ' + t('cb.dueshort', queue.callbacks));
    put(this.note, notes.join(' · '));
    put(this.flag, late > 0 ? `${sign('late')} ${late} ${t('late')}` : '');
    mark(this.flag, 'hidden', late === 0);
    mark(this.el, 'data-urgency', late > 0 && 'late');
    mark(this.el, 'data-closed', !queue.open);
    mark(this.title, 'aria-label', t('queue.list', queue.name));
    this.bar.show(queue.agents);
  }
}

/** The cards of the queues, in the order in which the site has them. */
export class Queues {
  constructor(el, day, open) {
    this.el = el;
    this.day = day;
    this.open = open;
    this.cards = new Map();
    new ResizeObserver(() => this.#fill()).observe(el);
  }

  // fill gives the day what the last row of queues leaves free.
  #fill() {
    const columns = getComputedStyle(this.el).gridTemplateColumns.split(' ').length;
    const span = columns - this.cards.size % columns;
    style(this.day, 'grid-column', 'span ' + span);
  }

  show(queues, at) {
    const names = new Set(queues.map((q) => q.name));
    for (const [name, card] of this.cards) {
      if (!names.has(name)) { card.el.remove(); this.cards.delete(name); this.#fill(); }
    }
    for (const queue of queues) {
      if (!this.cards.has(queue.name)) {
        const card = new Card(queue.name, this.open);
        this.cards.set(queue.name, card);
        this.day.before(card.el);
        this.#fill();
      }
      this.cards.get(queue.name).show(queue, at);
    }
    mark(this.el, 'data-size', queues.length > 6 ? 'many' : queues.length > 2 ? null : 'few');
  }

  showDay(day, zone) {
    for (const [name, card] of this.cards) card.curve.show(day, day.queues[name], zone);
  }
}
