// An agent's session: the daemon's stream of what concerns this agent. While it is
// open the agent is available; when it is lost, so is any offer.

import { ApiError, call, duration, instant, requestID, stream } from './api.js';
import { Backoff, Clock } from './clock.js';
import { stillKnown } from './who.js';

// A stream that brings nothing for so many heartbeats is taken for broken.
const missed = 3;

export class Session {
  clock = new Clock();
  /** "opening", "open", "lost", "taken" (another window has the agent) or "over"
   * (signed out). */
  state = 'opening';
  agent = null;
  offer = null;
  call = null; // the one that is talked on
  callback = null; // the one that is worked on
  retryAt = 0;
  #abort = null;
  #backoff = new Backoff();
  #timer = 0;
  #watch = 0;
  #heard = 0;
  #beat = 3000;

  /** `changed` is called after every change; `told` of what is worth a word: a
   * rescind, the end of a call. */
  constructor({ site, agent }, { changed, told }) {
    Object.assign(this, { site, id: agent, changed, told });
    this.awake = () => { if (this.state === 'lost') this.open(); };
    addEventListener('online', this.awake);
  }

  /** Opens the stream; with signIn the agent is signed in by it. */
  async open(signIn) {
    this.#stop();
    const abort = this.#abort = new AbortController();
    this.state = 'opening';
    this.#heard = performance.now();
    this.#watch = setInterval(() => {
      if (performance.now() - this.#heard > missed * this.#beat + 1000) this.#end(abort, new ApiError('unavailable', 'silence'));
    }, 500);
    this.changed();
    try {
      await stream('AgentService/Listen', { site: this.site, agentId: this.id, signIn }, {
        signal: abort.signal,
        receive: ({ message }) => { if (this.#abort === abort) this.#receive(message); },
      });
    } catch (err) {
      this.#end(abort, err);
    }
  }

  /** Ends the session for good. */
  close() {
    this.#stop();
    this.state = 'over';
    removeEventListener('online', this.awake);
  }

  #stop() {
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    const abort = this.#abort;
    this.#abort = null;
    abort?.abort();
  }

  #end(abort, err) {
    if (this.#abort !== abort) return;
    this.#stop();
    // Without the stream nothing tells whose the offer is by now; the daemon has
    // given it back, or will.
    this.offer = null;
    if (err.code === 'aborted') this.state = 'taken';
    else if (['not_found', 'failed_precondition', 'invalid_argument', 'permission_denied'].includes(err.code)) { this.state = 'over'; this.why = err; }
    else {
      this.state = 'lost';
      const delay = this.#backoff.next();
      this.retryAt = performance.now() + delay;
      this.#timer = setTimeout(() => this.open(), delay);
      if (err.code === 'unauthenticated') stillKnown();
    }
    this.changed();
  }

  #receive(message) {
    this.#heard = performance.now();
    if (message.welcome) {
      this.#beat = duration(message.welcome.heartbeatEvery) || 3000;
      this.clock.reset(instant(message.welcome.now));
      this.#backoff.reset();
      this.state = 'open';
      this.offer = null;
      this.#see(message.welcome.agent);
    } else if (message.offer) {
      this.offer = message.offer;
      this.clock.learn(instant(message.offer.offeredAt));
      this.#acknowledge(message.offer);
    } else if (message.rescind) {
      if (this.offer?.offerId === message.rescind.offerId) this.offer = null;
      this.told('rescind', message.rescind);
    } else if (message.agent) {
      this.#see(message.agent);
    } else if (message.callEnded) {
      if (this.call?.callId === message.callEnded.call.callId) this.told('ended', message.callEnded.call);
    } else {
      return; // a heartbeat
    }
    this.changed();
  }

  // see takes over what the daemon says of the agent: it alone knows.
  #see(agent) {
    this.agent = agent;
    if (this.offer && agent.offerId !== this.offer.offerId) this.offer = null;
    const talks = agent.state === 'AGENT_STATE_TALKING';
    if (!talks || !agent.callId || this.call?.callId !== agent.callId) this.call = null;
    if (!talks || !agent.callbackId || this.callback?.callbackId !== agent.callbackId) this.callback = null;
    if (talks && agent.callId && !this.call) this.#fetchCall(agent.callId);
    if (talks && agent.callbackId && !this.callback) this.#fetchCallback(agent.callbackId);
  }

  // After a reload the page has to ask what the agent is at.
  async #fetchCall(id) {
    const still = () => this.agent?.callId === id && this.agent.state === 'AGENT_STATE_TALKING';
    const { call: found } = await call('SupervisorService/Explain', { site: this.site, callId: id }).catch(() => ({}));
    if (found && still()) { this.call = found; this.changed(); }
  }

  async #fetchCallback(id) {
    for (let pageToken = '', more = true; more;) {
      const res = await call('CallbackService/List', { site: this.site, state: 'CALLBACK_STATE_CLAIMED', pageSize: 1000, pageToken }).catch(() => ({}));
      const found = res.callbacks?.find((c) => c.callbackId === id);
      if (found && this.agent?.callbackId === id) { this.callback = found; this.changed(); }
      pageToken = res.nextPageToken;
      more = !found && pageToken;
    }
  }

  async #acknowledge(offer) {
    try {
      await call('AgentService/Acknowledge', { ...this.#me(), offerId: offer.offerId }, { timeout: 4000 });
    } catch (err) {
      if (!err.away && this.offer === offer) { this.offer = null; this.changed(); }
    }
  }

  #me() { return { site: this.site, agentId: this.id }; }

  // say sends a command; one that did not get through is repeated once with the same
  // request id, which does it once.
  async #say(method, request) {
    const full = { requestId: requestID(), ...this.#me(), ...request };
    try {
      return await call(method, full);
    } catch (err) {
      if (!err.away) throw err;
      return call(method, full);
    }
  }

  async accept() {
    const offer = this.offer;
    try {
      const res = await this.#say('AgentService/Accept', { offerId: offer.offerId });
      this.call = res.call || null;
      this.callback = res.callback || null;
      const state = { state: 'AGENT_STATE_TALKING', callId: res.call?.callId, callbackId: res.callback?.callbackId, offerId: undefined };
      if (this.agent?.state !== 'AGENT_STATE_TALKING') this.agent = { ...this.agent, ...state };
    } finally {
      if (this.offer === offer) this.offer = null;
      this.changed();
    }
  }

  async decline() {
    const offer = this.offer;
    this.offer = null;
    this.changed();
    await this.#say('AgentService/Decline', { offerId: offer.offerId });
  }

  complete() { return this.#say('AgentService/Complete', { callId: this.call?.callId || this.agent.callId }); }

  report(result, note) {
    return this.#say('CallbackService/Report', {
      agentId: undefined, callbackId: this.agent.callbackId, claimant: this.id, result: 'CALLBACK_RESULT_' + result, note,
    });
  }

  ready() { return this.#say('AgentService/SetState', { state: 'AGENT_STATE_READY' }); }

  pause(reason) { return this.#say('AgentService/SetState', { state: 'AGENT_STATE_NOT_READY', reason }); }

  signOut() { return this.#say('AgentService/SignOut', {}); }
}
