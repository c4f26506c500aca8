// The row of figures for the whole site.

import { h, mark, put, style } from './dom.js';
import { goal, percent, seconds, span, t } from './i18n.js';

/** How urgent a wait is: "late" beyond the threshold, "soon" in its last quarter. A
 * tier without a target, such as the blacklist, is never a cause for alarm: "over". */
export function urgency(wait, threshold, target = true) {
  if (wait > threshold) return target ? 'late' : 'over';
  return target && wait >= threshold * 0.75 ? 'soon' : '';
}

/** How a service level stands to its target: "met", "missed", or "" without one. */
export function standing({ level, target }) {
  if (level === null || target === null) return '';
  return level >= target ? 'met' : 'missed';
}

/** A sign that says the same as a colour, in shape. */
export function sign(kind) { return { late: '▲', over: '▲', soon: '◆', met: '✓', missed: '▼' }[kind] || ''; }

export const agentStates = ['idle', 'offered', 'talking', 'wrap_up', 'not_ready', 'unreached'];

/** The agents by what the wallboard calls their states. */
export const agentCounts = (a) => ({
  idle: a.idle, offered: a.offered, talking: a.talking, wrap_up: a.wrap_up, not_ready: a.not_ready, unreached: a.ready - a.idle,
});

/** A bar of the agents' states, and its legend. */
export class AgentBar {
  constructor() {
    this.parts = agentStates.map((s) => h('span', { class: 'part ' + s }));
    this.items = agentStates.map((s) => h('li', { class: s }, h('b'), ' ', h('span')));
    this.bar = h('div', { class: 'bar agents', 'aria-hidden': 'true' }, this.parts);
    this.legend = h('ul', { class: 'legend' }, this.items);
  }

  show(agents) {
    const counts = agentCounts(agents);
    agentStates.forEach((s, i) => {
      style(this.parts[i], 'flex-grow', String(counts[s]));
      mark(this.parts[i], 'hidden', counts[s] === 0);
      put(this.items[i].firstChild, String(counts[s]));
      put(this.items[i].lastChild, t('st.' + s));
      mark(this.items[i], 'hidden', counts[s] === 0 && s !== 'idle');
    });
  }
}

// large writes a figure as large as its tile allows.
function large(el, text) {
  put(el, text);
  style(el, '--chars', String(text.length));
}

// worse says whether a tier's oldest call is the one to show: of those that have a
// target, the oldest.
function worse(a, b) {
  if ((a.target === null) !== (b.target === null)) return a.target !== null;
  return a.oldest < b.oldest;
}

function tile(kind, ...children) {
  const title = h('h2');
  const el = h('section', { class: 'panel tile ' + kind }, title, children);
  return { el, title };
}

/** The tiles of a site. */
export class Tiles {
  constructor() {
    this.waiting = tile('waiting', this.count = h('p', { class: 'huge' }), this.beyond = h('p', { class: 'under' }));
    this.longest = tile('longest', this.wait = h('p', { class: 'huge' }),
      h('div', { class: 'bar wait', 'aria-hidden': 'true' }, this.fill = h('span', { class: 'part' })), this.who = h('p', { class: 'under' }));
    this.levels = tile('levels', this.row = h('div', { class: 'row' }));
    this.agents = tile('agents', h('p', { class: 'huge' }, this.free = h('span'), this.freeWord = h('small')));
    this.bar = new AgentBar();
    this.agents.el.append(this.bar.bar, this.bar.legend);
    this.callbacks = tile('callbacks', h('p', { class: 'huge' }, this.due = h('span'), this.dueWord = h('small')),
      this.later = h('p', { class: 'under' }), this.deadline = h('p', { class: 'under' }));
    this.el = [this.waiting, this.longest, this.levels, this.agents, this.callbacks].map((x) => x.el);
    this.tiers = new Map();
  }

  /** Shows the figures as of an instant. */
  show(figures, at) {
    put(this.waiting.title, t('waiting'));
    put(this.longest.title, t('longest'));
    put(this.levels.title, t('level'));
    put(this.agents.title, t('agents'));
    put(this.callbacks.title, t('callbacks'));
    this.#waits(figures, at);
    this.#levels(figures);
    this.bar.show(figures.agents);
    put(this.free, String(figures.agents.idle));
    put(this.freeWord, ' ' + t('st.idle'));
    this.#callbacks(figures.callbacks, at);
  }

  #waits(figures, at) {
    let waiting = 0, late = 0, worst = null;
    for (const q of figures.queues) {
      for (const tier of q.tiers) {
        waiting += tier.waiting;
        late += lateOf(tier, q, at);
        if (tier.waiting > 0 && (!worst || worse(tier, worst.tier))) worst = { q, tier };
      }
    }
    const threshold = seconds(Math.min(...figures.queues.map((q) => q.threshold)));
    large(this.count, String(waiting));
    put(this.beyond, late > 0 ? sign('late') + ' ' + t('beyond', late, threshold) : waiting > 0 ? t('none.beyond', threshold) : t('nobody'));
    mark(this.waiting.el, 'data-urgency', late > 0 && 'late');
    const wait = worst ? at - worst.tier.oldest : 0;
    const urgent = worst && urgency(wait, worst.q.threshold, worst.tier.target !== null);
    large(this.wait, (urgent ? sign(urgent) + ' ' : '') + (worst ? span(wait) : '–'));
    put(this.who, worst ? `${worst.q.name} · ${t('tier.' + worst.tier.tier)} · ${t('limit', seconds(worst.q.threshold))}` : t('limit', threshold));
    style(this.fill, 'width', worst ? Math.min(100, wait / worst.q.threshold * 100).toFixed(1) + '%' : '0%');
    mark(this.longest.el, 'data-urgency', urgent);
  }

  #levels(figures) {
    for (const tier of figures.tiers) {
      const targets = new Set(figures.queues.map((q) => q.tiers.find((x) => x.tier === tier.tier).target));
      if (tier.tier === 'blacklist') continue;
      if (!this.tiers.has(tier.tier)) {
        const parts = { name: h('h3'), level: h('p', { class: 'big' }), target: h('p', { class: 'under' }), recent: h('p', { class: 'under recent' }) };
        parts.el = h('div', { class: 'level' }, parts.name, parts.level, parts.target, parts.recent);
        this.tiers.set(tier.tier, parts);
        this.row.append(parts.el);
      }
      const parts = this.tiers.get(tier.tier);
      const kind = standing(tier);
      put(parts.name, t('tier.' + tier.tier));
      put(parts.level, tier.level === null ? '–' : percent(tier.level));
      put(parts.target, (kind ? sign(kind) + ' ' : '') + (tier.target !== null ? t('target', goal(tier.target)) : targets.size > 1 ? t('targets.differ') : t('no.target')));
      put(parts.recent, t('recent', tier.recent === null ? '–' : percent(tier.recent)));
      mark(parts.el, 'data-standing', kind);
    }
  }

  #callbacks(c, at) {
    put(this.due, String(c.due));
    put(this.dueWord, ' ' + t('cb.due'));
    put(this.later, `${c.pending} ${t('cb.pending')} · ${c.working} ${t('cb.working')}` + (c.missed > 0 ? ` · ${t('cb.missed', c.missed)}` : ''));
    const left = c.next_deadline - at;
    put(this.deadline, c.next_deadline ? t('cb.deadline', span(left)) : t('cb.nodeadline'));
    mark(this.callbacks.el, 'data-urgency', c.next_deadline && left < 30 * 60000 && 'soon');
  }
}

/** How many of a tier wait beyond the threshold: as the daemon counted, and one more
 * when the oldest has crossed it since. A tier without a target is not counted. */
export function lateOf(tier, queue, at) {
  if (tier.target === null) return 0;
  return Math.max(tier.late, tier.waiting > 0 && at - tier.oldest > queue.threshold ? 1 : 0);
}
