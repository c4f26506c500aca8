// The drill-down: who waits in a queue, with masked numbers, and why one of them
// stands where it stands.

import { call, duration, instant } from './api.js';
import { h, mark } from './dom.js';
import { clock, seconds, span, t, word } from './i18n.js';
import { sign, urgency } from './tiles.js';

const shown = 100;
const tiers = ['TIER_VIP', 'TIER_MID', 'TIER_ORDINARY', 'TIER_BLACKLIST'];
const tierKey = (tier) => tier.replace('TIER_', '').toLowerCase();
const tierName = (tier) => t('tier.' + tierKey(tier));
const masked = (number) => (number ? '•••• ' + number.replace(/^[*+]+/, '').slice(-4) : t('withheld'));

export class Calls {
  #queue = '';
  #call = '';
  #busy = false;
  #again = false;
  #waits = []; // elements that count

  constructor(dialog, live) {
    this.dialog = dialog;
    this.live = live;
    this.title = h('h2', { id: 'calls-title' });
    this.back = h('button', { type: 'button', class: 'quiet', onclick: () => this.#show('') });
    this.close = h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() });
    this.body = h('div', { class: 'body' });
    dialog.append(h('header', {}, this.back, this.title, this.close), this.body);
    dialog.addEventListener('close', () => { this.#queue = ''; });
    dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(); });
  }

  open(queue) {
    this.#queue = queue;
    this.body.replaceChildren();
    this.#show('');
    if (!this.dialog.open) this.dialog.showModal();
  }

  #show(id) {
    this.#call = id;
    this.title.textContent = id ? t('explain.title', id) : t('queue.list', this.#queue);
    this.back.textContent = t('back');
    this.close.textContent = t('close');
    mark(this.back, 'hidden', !id);
    this.refresh();
  }

  /** Asks anew, one question at a time; to be called when the figures changed. */
  async refresh() {
    if (!this.#queue) return;
    if (this.#busy) { this.#again = true; return; }
    this.#busy = true;
    const [queue, id] = [this.#queue, this.#call];
    try {
      const drawn = id ? await this.#explain(id) : await this.#list(queue);
      if (queue === this.#queue && id === this.#call) this.#draw(drawn);
    } catch (err) {
      this.#draw([h('p', { class: 'empty' }, err.code === 'not_found' ? t('call.gone') : t('unavailable'))]);
    } finally {
      this.#busy = false;
      if (this.#again) { this.#again = false; this.refresh(); }
    }
  }

  // draw keeps the place of the keyboard.
  #draw(children) {
    const focused = this.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.#waits = [];
    this.body.replaceChildren(...children);
    for (const el of this.body.querySelectorAll('[data-joined]')) this.#waits.push(el);
    this.tick();
    if (focused) this.body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Counts the waits on. */
  tick() {
    for (const el of this.#waits) {
      const wait = this.live.at - Number(el.dataset.joined);
      const kind = urgency(wait, Number(el.dataset.threshold), el.dataset.tier !== 'blacklist');
      el.textContent = (kind ? sign(kind) + ' ' : '') + span(wait);
      mark(el.closest('tr') || el, 'data-urgency', kind);
    }
  }

  #threshold(queue) { return this.live.figures?.queues.find((q) => q.name === queue)?.threshold ?? 20000; }

  async #list(queue) {
    const res = await call('SupervisorService/ListCalls', {
      site: this.live.site, queue, states: ['CALL_STATE_WAITING', 'CALL_STATE_OFFERED'], pageSize: 1000, maskCallers: true,
    });
    const calls = (res.calls || []).sort((a, b) => tiers.indexOf(a.tier) - tiers.indexOf(b.tier) || instant(a.joinedAt) - instant(b.joinedAt) || Number(a.sequence) - Number(b.sequence));
    if (calls.length === 0) return [h('p', { class: 'empty' }, t('call.none'))];
    const threshold = this.#threshold(queue);
    const rows = calls.slice(0, shown).map((c, i) => h('tr', { 'data-tier': tierKey(c.tier) },
      h('td', { class: 'number' }, String(i + 1)),
      h('td', {}, h('span', { class: 'badge' }, tierName(c.tier))),
      h('td', { class: 'caller' }, masked(c.caller)),
      h('td', { class: 'number wait', 'data-joined': instant(c.joinedAt), 'data-threshold': threshold, 'data-tier': tierKey(c.tier) }),
      h('td', {}, c.state === 'CALL_STATE_OFFERED' ? `${t('call.offered')} ${c.agentId}` : t('call.waiting')),
      h('td', {}, h('button', { type: 'button', class: 'quiet', 'data-key': c.callId, 'aria-label': `${t('explain')} ${c.callId}`, onclick: () => this.#show(c.callId) }, t('explain')))));
    const head = ['col.place', 'col.tier', 'col.caller', 'col.wait', 'col.state'].map((key) => h('th', { scope: 'col' }, t(key)));
    const more = calls.length > shown || res.nextPageToken;
    return [
      h('table', {}, h('thead', {}, h('tr', {}, head, h('td'))), h('tbody', {}, rows)),
      more && h('p', { class: 'under' }, t('call.more', (res.nextPageToken ? '≥ ' : '') + (calls.length - shown))),
    ].filter(Boolean);
  }

  async #explain(id) {
    const res = await call('SupervisorService/Explain', { site: this.live.site, callId: id, maskCallers: true });
    const c = res.call;
    const facts = [];
    if (res.position) {
      facts.push(t('ex.position', res.position));
      const ahead = (res.aheadByTier || []).filter((a) => a.calls > 0).map((a) => `${a.calls} ${tierName(a.tier)}`);
      if (res.aheadCallbacks > 0) ahead.push(t('ex.callbacks', res.aheadCallbacks));
      facts.push(ahead.length ? t('ex.ahead', ahead.join(', ')) : t('ex.first'));
      facts.push(t('ex.agents', res.eligibleAgents || 0, res.idleAgents || 0));
      if (res.estimatedWait) facts.push(t('ex.estimate', span(duration(res.estimatedWait))));
    }
    if (c.offers > 0) facts.push(t('ex.offers', c.offers));
    if (c.provisional) facts.push(t('ex.provisional'));
    if (c.unattestedVip) facts.push(t('ex.unattested'));
    const waits = c.state === 'CALL_STATE_WAITING' || c.state === 'CALL_STATE_OFFERED';
    const zone = this.live.zone;
    return [
      h('p', { class: 'summary' }, h('span', { class: 'badge', 'data-tier': tierKey(c.tier) }, tierName(c.tier)), ' ',
        h('span', { class: 'caller' }, masked(c.caller)), ' · ', c.queue, ' · ',
        waits ? h('b', { class: 'wait', 'data-joined': instant(c.joinedAt), 'data-threshold': this.#threshold(c.queue), 'data-tier': tierKey(c.tier) }) : h('b', {}, span(duration(c.wait))),
        ' ', t('a.of', seconds(this.#threshold(c.queue)))),
      h('ul', { class: 'facts' }, h('li', {}, t('ex.joined', clock(instant(c.joinedAt), zone))), facts.map((f) => h('li', {}, f))),
      h('h3', {}, t('ex.way')),
      h('ol', { class: 'way' }, (res.events || []).map((e) => h('li', {}, h('time', {}, clock(instant(e.at), zone)), ' ', this.#event(e)))),
      h('details', { open: window.greenlane.lang === 'en' }, h('summary', {}, t('ex.words')), h('ul', { lang: 'en' }, (res.reasons || []).map((r) => h('li', {}, r)))),
    ];
  }

  #event(e) {
    const type = e.type.replace('EVENT_TYPE_', '');
    const words = [word('ev.', type)];
    if (type === 'CALL_RERANKED') words.push(tierName(e.tier));
    else if (type === 'CALL_MOVED') words.push(e.queue);
    else if (e.agentId) words.push(e.agentId);
    if (e.reason) words.push(`(${word(type === 'OFFER_RETURNED' ? 'x.' : 'e.', e.reason)})`);
    return words.join(' ');
  }
}
