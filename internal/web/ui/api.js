// The API of the daemon, spoken as Connect: a POST of JSON, and for streams JSON
// messages in envelopes of five bytes and a length. See docs/web.md.

const base = '/greenlane.v1.';

/** What the daemon refused, and why. */
export class ApiError extends Error {
  constructor(code, message, details = []) {
    super(message);
    this.code = code; // such as "not_found"
    this.reason = details.find((d) => d.type === 'google.rpc.ErrorInfo')?.debug?.reason || '';
  }

  /** True when the daemon could not be asked, so that asking again may help. */
  get away() { return this.code === 'unavailable' || this.code === 'deadline_exceeded'; }
}

const headers = (kind) => ({ 'Content-Type': kind, 'Connect-Protocol-Version': '1' });

const awayError = (err) => new ApiError('unavailable', err?.message || 'the daemon does not answer');

/** Calls an rpc: call('AgentService/Accept', {...}). */
export async function call(method, request, { timeout = 10000, signal } = {}) {
  const limit = AbortSignal.timeout(timeout);
  let response, text;
  try {
    response = await fetch(base + method, {
      method: 'POST', cache: 'no-store', signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: { ...headers('application/json'), 'Connect-Timeout-Ms': String(timeout) }, body: JSON.stringify(request),
    });
    text = await response.text();
  } catch (err) {
    if (signal?.aborted) throw err;
    throw awayError(err);
  }
  let body = {};
  try { body = JSON.parse(text); } catch { /* not the daemon's own words */ }
  if (response.ok) return body;
  throw new ApiError(body.code || 'unavailable', body.message || response.statusText || 'no answer', body.details);
}

/** Calls a streaming rpc and gives each message to `receive` until the stream ends;
 * how it ends is thrown. `alive` is told of every sign of life. */
export async function stream(method, request, { signal, receive }) {
  let response;
  try {
    response = await fetch(base + method, {
      method: 'POST', cache: 'no-store', signal, headers: headers('application/connect+json'), body: envelope(request),
    });
  } catch (err) {
    throw signal.aborted ? err : awayError(err);
  }
  if (!response.ok) throw new ApiError('unavailable', response.statusText || 'no answer');
  const reader = response.body.getReader();
  let rest = new Uint8Array(0);
  for (;;) {
    let chunk;
    try { chunk = await reader.read(); } catch (err) { throw signal.aborted ? err : awayError(err); }
    if (chunk.done) throw awayError();
    rest = join(rest, chunk.value);
    for (let message; (message = cut(rest)); rest = message.rest) {
      if (message.last) throw endOf(message.body);
      receive(message.body);
    }
  }
}

function envelope(message) {
  const body = new TextEncoder().encode(JSON.stringify(message));
  const out = new Uint8Array(5 + body.length);
  new DataView(out.buffer).setUint32(1, body.length);
  out.set(body, 5);
  return out;
}

function join(a, b) {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

// cut takes the first envelope, if the whole of it has come.
function cut(bytes) {
  if (bytes.length < 5) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (bytes.length < 5 + length) return null;
  return {
    last: (bytes[0] & 2) !== 0,
    body: JSON.parse(new TextDecoder().decode(bytes.subarray(5, 5 + length)) || '{}'),
    rest: bytes.subarray(5 + length),
  };
}

function endOf({ error }) {
  if (!error) return awayError({ message: 'the stream ended' });
  return new ApiError(error.code, error.message, error.details);
}

/** A request id: what is sent again with the same one is done once. */
export function requestID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Reads an instant of the API ("2026-01-02T03:04:05Z") as milliseconds; 0 for none. */
export const instant = (text) => (text ? Date.parse(text) : 0);

/** Reads a duration of the API ("1.5s") as milliseconds; 0 for none. */
export const duration = (text) => (text ? Math.round(parseFloat(text) * 1000) : 0);
