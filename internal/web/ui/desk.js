// The agent's desk: it shows the one card that counts, and carries out what is
// pressed.

import { h, mark, put } from './dom.js';
import { callbackCard, noteCard, number, offerCard, restCard, talkCard, wrapCard } from './cards.js';
import { t, word } from './i18n.js';

const reasons = ['break', 'lunch', 'meeting', 'training', 'other'];

export class Desk {
  busy = false;
  #card = null;
  #key = '';
  #noticeTimer = 0;

  constructor(parts, { session, thresholds, ring, signedOut }) {
    Object.assign(this, parts, { session, thresholds, ring, signedOut });
    this.pauseButton = h('button', { type: 'button', onclick: () => (session.agent?.notReadyAfter ? this.ready() : this.#askPause()) });
    this.outButton = h('button', { type: 'button', class: 'quiet', onclick: () => this.#run(async () => { await session.signOut(); this.signedOut(); }) });
    this.after = h('p', { class: 'after', hidden: true });
    this.bar = h('div', { class: 'bar-row' }, this.pauseButton, this.outButton, this.after);
    this.place = h('div', { class: 'place' });
    this.main.replaceChildren(this.place, this.bar);
    this.keys = (e) => this.#shortcut(e);
    addEventListener('keydown', this.keys);
  }

  /** Takes the desk away. */
  remove() {
    removeEventListener('keydown', this.keys);
    this.ring.stop();
    this.#say('');
    mark(this.pill, 'hidden', true);
  }

  threshold(queue) { return this.thresholds?.get(queue) || 20000; }

  /** Draws what the session knows; `anew` also when it is the same card. */
  draw(anew = false) {
    const [key, make] = this.#choose();
    const before = this.#key;
    if (key !== before || anew) {
      this.#key = key;
      this.#card = make();
      this.place.replaceChildren(this.#card.el);
      const typing = document.activeElement?.matches?.('input, textarea, select');
      if (key !== before && /^(offer|talk|callback)/.test(key) && !typing) this.#card.focus();
    }
    const offer = this.session.offer;
    if (offer) this.ring.start(); else this.ring.stop();
    if (key !== before) put(this.news, offer ? `${t(offer.call ? 'a.offer' : 'a.offer.cb')}: ${number((offer.call || offer.callback).caller)}` : '');
    this.#head();
    this.tick();
  }

  // choose says which card lies on the desk, by a key that changes with it.
  #choose() {
    const { state, offer, agent, call, callback } = this.session;
    if (state === 'taken') return ['taken', () => noteCard(t('a.taken'), t('a.taken.lead'), h('button', { type: 'button', class: 'primary', onclick: () => this.session.open() }, t('a.takeover')))];
    const talks = agent?.state === 'AGENT_STATE_TALKING';
    if (talks && agent.callbackId) return [`callback ${agent.callbackId} ${!!callback}`, () => callbackCard(callback, this)];
    if (talks) return [`talk ${agent.callId} ${!!call}`, () => talkCard(call, this)];
    if (state === 'lost' || !agent) return [`offline ${state}`, () => (state === 'lost' ? noteCard(t('a.offline'), t('a.offline.lead')) : noteCard(t('connecting')))];
    if (offer) return [`offer ${offer.offerId}`, () => offerCard(offer, this)];
    if (agent.state === 'AGENT_STATE_WRAP_UP') return [`wrap ${agent.wrapUpUntil}`, () => wrapCard(agent, this)];
    return [`rest ${agent.state} ${agent.reason} ${agent.since}`, () => restCard(agent, this)];
  }

  #head() {
    const { state, agent } = this.session;
    const names = { AGENT_STATE_READY: 'a.ready', AGENT_STATE_NOT_READY: 'a.notready', AGENT_STATE_OFFERED: 'st.offered', AGENT_STATE_TALKING: 'a.talking', AGENT_STATE_WRAP_UP: 'a.wrap' };
    const open = state === 'open';
    const ready = open && agent?.state === 'AGENT_STATE_READY';
    put(this.pill, !open ? (state === 'opening' ? '◌ ' + t('connecting') : '▲ ' + t('a.offline')) : (ready ? '● ' : agent.state === 'AGENT_STATE_NOT_READY' ? '■ ' : '◆ ') + t(names[agent.state] || 'a.ready'));
    mark(this.pill, 'data-kind', open ? (ready ? 'good' : 'wait') : state === 'opening' ? 'wait' : 'bad');
    mark(this.pill, 'hidden', false);
    put(this.pauseButton, t(agent?.notReadyAfter ? 'a.stay' : 'a.pause'));
    put(this.outButton, t('a.signout'));
    mark(this.bar, 'hidden', state === 'taken');
    const paused = agent?.state === 'AGENT_STATE_NOT_READY';
    this.pauseButton.disabled = !open || paused;
    this.outButton.disabled = !open || agent?.state === 'AGENT_STATE_TALKING';
    put(this.after, agent?.notReadyAfter ? t('a.after') : '');
    mark(this.after, 'hidden', !agent?.notReadyAfter);
    const offer = this.session.offer;
    const title = `${offer ? '☎ ' + t(offer.call ? 'a.offer' : 'a.offer.cb') : agent?.state === 'AGENT_STATE_TALKING' ? t('a.talking') : t('app.agent')} · ${this.session.id} · Greenlane`;
    if (document.title !== title) document.title = title;
  }

  /** Counts on. */
  tick() {
    this.#card?.tick(this.session.clock.now());
    const lost = this.session.state === 'lost';
    const talks = this.session.agent?.state === 'AGENT_STATE_TALKING';
    if (lost) this.#say(`${talks ? t('a.talk.on') + ' ' : ''}${t('lost', Math.max(0, Math.ceil((this.session.retryAt - performance.now()) / 1000)))}`, 'lost');
    else if (this.notice.dataset.kind === 'lost') this.#say('');
  }

  /** Says what the daemon told, such as a rescind. */
  told(kind, what) {
    if (kind === 'rescind') {
      if (what.reason === 'declined') return; // the agent knows
      this.#say(`${t('x.title')}: ${word('x.', what.reason)}`, 'told', 8000);
    } else if (what.reason !== 'agent_completed') {
      this.#say(`${t('x.ended')}: ${word('e.', what.reason)}`, 'told', 8000);
    }
  }

  #say(text, kind = '', forMs = 0) {
    clearTimeout(this.#noticeTimer);
    put(this.notice, text);
    mark(this.notice, 'data-kind', kind);
    if (forMs) this.#noticeTimer = setTimeout(() => this.#say(''), forMs);
  }

  // run carries out one thing at a time, and says when it did not work.
  async #run(act) {
    if (this.busy) return;
    this.busy = true;
    this.tick();
    try {
      await act();
    } catch (err) {
      this.#say(t('a.failed', err.away ? t('unavailable') : err.message), 'bad', 10000);
    } finally {
      this.busy = false;
      this.draw();
    }
  }

  accept() { return this.#run(() => this.session.accept()); }
  decline() { return this.#run(() => this.session.decline()); }
  complete() { return this.#run(() => this.session.complete()); }
  ready() { return this.#run(() => this.session.ready()); }
  report(result, note) { return this.#run(async () => { await this.session.report(result, note); this.#say(t('a.reported'), 'good', 4000); }); }

  #askPause() {
    this.dialog.replaceChildren(
      h('h2', { id: 'pause-title' }, t('a.pause.title')),
      h('div', { class: 'choices' }, reasons.map((r) => h('button', { type: 'button', onclick: () => { this.dialog.close(); this.#run(() => this.session.pause(r)); } }, t('r.' + r)))),
      h('button', { type: 'button', class: 'quiet', onclick: () => this.dialog.close() }, t('close')));
    this.dialog.showModal();
  }

  #shortcut(e) {
    if (!e.ctrlKey || e.altKey || e.metaKey || e.repeat || !this.session.offer || this.dialog.open) return;
    if (e.key === 'Enter') { e.preventDefault(); this.accept(); }
    if (e.key === 'Backspace') { e.preventDefault(); this.decline(); }
  }
}
