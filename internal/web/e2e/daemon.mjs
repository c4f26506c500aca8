// A real daemon for a test: started, killed and started again on the same address
// and data, and spoken to as any client may.

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const config = `
sites:
  - name: main
    short_abandon: 0s
    callback: {window_from: "00:00", window_to: "24:00", delay: 1s}
    queues:
      - {name: billing, threshold: 20s, offer_timeout: 20s}
      - {name: support, threshold: 2s, offer_timeout: 20s, targets: {vip: 0.95, mid: 0.85, ordinary: 0.8}}
`;

async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.listen(0, '127.0.0.1', resolve).once('error', reject));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Daemon {
  static async start(text = config) {
    const d = new Daemon();
    d.dir = await mkdtemp(join(tmpdir(), 'greenlane-e2e-'));
    await writeFile(join(d.dir, 'greenlaned.yaml'), text);
    [d.grpc, d.http] = [await freePort(), await freePort()];
    d.url = `http://127.0.0.1:${d.http}`;
    await d.run();
    return d;
  }

  /** Starts the process, and returns when it says that it serves. */
  async run() {
    const args = ['--config', join(this.dir, 'greenlaned.yaml'), '--data', join(this.dir, 'data'), '--listen', `127.0.0.1:${this.grpc}`, '--http', `127.0.0.1:${this.http}`];
    const child = this.child = spawn(process.env.GREENLANED, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve, reject) => {
      let said = '';
      const hear = (chunk) => { said += chunk; if (said.includes('serves')) resolve(); };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => reject(new Error(`the daemon ended with ${code}: ${said}`)));
    });
  }

  /** Ends the process: "SIGKILL" as a power cut would, "SIGTERM" as an operator. */
  async end(signal = 'SIGKILL') {
    this.child.kill(signal);
    await this.ended;
  }

  async remove() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGTERM');
    await rm(this.dir, { recursive: true, force: true });
  }

  async call(method, request) {
    const res = await fetch(`${this.url}/greenlane.v1.${method}`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request),
    });
    const body = await res.json();
    if (!res.ok) throw Object.assign(new Error(`${method}: ${body.message}`), { code: body.code });
    return body;
  }

  arrive(callId, caller, queue = 'billing', more = {}) {
    return this.call('SwitchService/CallArrived', { switchId: 'switch', callId, caller, queue, ...more });
  }

  hangUp(callId) { return this.call('SwitchService/CallAbandoned', { switchId: 'switch', callId }); }

  tier(caller, tier) { return this.call('TierService/Set', { caller, tier: 'TIER_' + tier }); }
}
