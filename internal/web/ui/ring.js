// The sound of an offer: two soft tones, made here, so that no file is needed.

export class Ring {
  #audio = null;
  #timer = 0;

  get on() { return window.greenlane.kept('sound') !== 'off'; }

  toggle() {
    window.greenlane.keep('sound', this.on ? 'off' : 'on');
    if (!this.on) this.stop();
  }

  /** Lets sound be made: browsers ask for a click first. */
  unlock() {
    try { this.#audio ??= new AudioContext(); this.#audio.resume().catch(() => {}); } catch { /* no sound here */ }
  }

  start() {
    if (this.#timer || !this.on) return;
    this.#play();
    this.#timer = setInterval(() => this.#play(), 2500);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  #play() {
    const audio = this.#audio;
    if (!audio || audio.state !== 'running') return;
    [[660, 0], [880, 0.18]].forEach(([frequency, after]) => {
      const [tone, volume, at] = [audio.createOscillator(), audio.createGain(), audio.currentTime + after];
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.15, at + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.35);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.4);
    });
  }
}
