// The form by which an agent signs in.

import { call, duration } from './api.js';
import { h } from './dom.js';
import { t } from './i18n.js';

const remembered = () => { try { return JSON.parse(window.greenlane.kept('agent')) || {}; } catch { return {}; } };

export class SignIn {
  #known = null;

  /** `own` is the agent's id when the daemon knows it already; `submit` gets
   * {agent, signIn}. */
  constructor(site, own, submit) {
    this.site = site;
    this.own = own;
    this.submit = submit;
    this.last = remembered();
    if (own) this.last = { ...this.last, agent: own };
    this.el = h('form', { class: 'panel signin', novalidate: true, onsubmit: (e) => { e.preventDefault(); this.#send(); } });
    this.queues = null;
    this.#ask();
  }

  // ask gets the queues, and keeps asking while the daemon does not answer.
  async #ask() {
    try {
      const res = await call('SupervisorService/GetSnapshot', { site: this.site, omitAgents: true });
      this.queues = res.queues.map((q) => q.queue);
      this.#known = new Map(res.queues.map((q) => [q.queue, duration(q.threshold)]));
      this.fault = '';
    } catch (err) {
      this.fault = err.away ? t('unavailable') : err.message;
      if (err.away) setTimeout(() => this.#ask(), 2000);
    }
    this.draw();
  }

  draw() {
    const last = this.values() || this.last;
    const chosen = new Map((last.queues || []).map((q) => [q.queue, q.level]));
    const id = (name) => 'signin-' + name;
    const field = (name, key, attributes, hint) => h('div', { class: 'field' },
      h('label', { for: id(name) }, t(key)),
      this[name] = h('input', { id: id(name), name, autocomplete: 'off', 'aria-describedby': hint && id(name + '-hint'), ...attributes }),
      hint && h('p', { class: 'under', id: id(name + '-hint') }, t(hint)));
    const fields = [
      field('agent', 'a.id', { value: last.agent || '', required: true, readonly: !!this.own, maxlength: 128, spellcheck: 'false', autocapitalize: 'none' }),
      field('endpoint', 'a.endpoint', { value: last.endpoint || '', maxlength: 256, spellcheck: 'false' }, 'a.endpoint.hint'),
      field('wrapup', 'a.wrapup', { value: last.wrapup || '', inputmode: 'numeric', pattern: '[0-9]*', maxlength: 4 }, 'a.wrapup.hint'),
    ];
    this.rows = (this.queues || []).map((name, i) => {
      const only = this.queues.length === 1;
      const check = h('input', { type: 'checkbox', id: id('queue-' + i), name: 'queue', value: name, checked: only || chosen.has(name) });
      const level = h('select', { 'aria-label': `${t('a.level')}: ${name}`, name: 'level-' + name },
        Array.from({ length: 9 }, (_, n) => h('option', { value: n + 1, selected: (chosen.get(name) || 1) === n + 1 }, `${t('a.level')} ${n + 1}`)));
      return { name, check, level, el: h('li', {}, check, h('label', { for: id('queue-' + i) }, name), level) };
    });
    this.problem = h('p', { class: 'problem', role: 'alert' }, this.fault || '');
    this.el.replaceChildren(
      h('h2', {}, t('a.signin')), h('p', { class: 'under' }, t('a.signin.lead')), ...fields,
      h('fieldset', {}, h('legend', {}, t('a.queues')),
        this.queues ? h('ul', {}, this.rows.map((r) => r.el)) : h('p', { class: 'under' }, t('a.loading')),
        h('p', { class: 'under' }, t('a.level.hint'))),
      this.problem,
      h('button', { class: 'primary wide', disabled: !this.queues }, t('a.signin')));
  }

  /** What stands in the form; null before it is drawn. */
  values() {
    if (!this.rows) return null;
    const queues = this.rows.filter((r) => r.check.checked).map((r) => ({ queue: r.name, level: Number(r.level.value) }));
    return { agent: this.agent.value.trim(), endpoint: this.endpoint.value.trim(), wrapup: this.wrapup.value.trim(), queues: this.queues?.length ? queues : this.last.queues };
  }

  /** The answer thresholds of the queues, in milliseconds. */
  get thresholds() { return this.#known; }

  /** Says why it did not work. */
  fail(text) { this.fault = text; this.draw(); }

  #send() {
    const v = this.values();
    this.fault = !v.agent ? t('a.noid') : !v.queues?.length ? t('a.noqueue') : '';
    this.problem.textContent = this.fault;
    if (this.fault) { (v.agent ? this.rows[0]?.check : this.agent)?.focus(); return; }
    this.last = v;
    window.greenlane.keep('agent', JSON.stringify(v));
    this.submit({
      agent: v.agent,
      signIn: { endpoint: v.endpoint, queues: v.queues, wrapUp: /^\d+$/.test(v.wrapup) ? v.wrapup + 's' : undefined },
    });
  }
}
