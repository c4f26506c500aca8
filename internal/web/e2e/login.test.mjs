import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { accessible, Browser, clean, fits, shot } from './browser.mjs';
import { Daemon } from './daemon.mjs';

// A daemon that asks who somebody is. Tokens are signed here, as an identity
// provider would.
const secret = 'a-secret-of-this-test-0123456789abcdef';
let dir, daemon, browser;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'greenlane-login-'));
  await writeFile(join(dir, 'key'), secret);
  daemon = await Daemon.start(`
auth: {tokens: {shared_key_file: ${join(dir, 'key')}, leeway: 0s}}
sites: [{name: main, queues: [{name: billing}]}]
`);
  browser = await Browser.start();
});
after(async () => { await browser?.close(); await daemon?.remove(); await rm(dir, { recursive: true, force: true }); });

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
function token(name, roles, seconds = 600) {
  const text = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ sub: name, roles, aud: 'greenlane', exp: Math.floor(Date.now() / 1000) + seconds })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const call = async (method, bearer, request) => {
  const res = await fetch(`${daemon.url}/greenlane.v1.${method}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${bearer}` }, body: JSON.stringify(request),
  });
  if (!res.ok) throw new Error(`${method}: ${await res.text()}`);
};

const pages = [];
const open = async (path, options) => {
  const page = await browser.page(daemon.url + path, options);
  page.away = true; // that a request was refused, the browser itself says on its console
  page.faults.length = 0;
  pages.push(page);
  return page;
};
afterEach(async () => {
  for (const page of pages.splice(0)) { clean(page); await page.context().close(); }
});

const give = async (page, text) => {
  await page.getByLabel(/^(Token|令牌)$/).fill(text);
  await page.getByRole('button', { name: /^(Sign in|登录)$/ }).click();
};

test('the page to sign in can be read by everybody, in both languages and themes', async () => {
  for (const lang of ['en', 'zh-CN']) for (const theme of ['dark', 'light']) {
    const page = await open('/', { lang, theme, width: 390, height: 800 });
    await page.getByLabel(/^(Token|令牌)$/).waitFor();
    await accessible(page, `${lang} ${theme}`);
    await fits(page, `${lang} ${theme}`);
    await shot(page, `login-${lang}-${theme}`);
  }
});

test('a supervisor signs in, sees the wallboard and leaves', async () => {
  const page = await open('/');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Enter your token.').waitFor();
  await give(page, 'nonsense');
  await page.getByText('not accepted').waitFor();
  await give(page, token('boss', ['supervisor']));
  await page.locator('.queue').filter({ hasText: 'billing' }).waitFor();
  assert.equal(await page.evaluate(() => document.cookie), '', 'a script can read the token');
  await shot(page, 'login-wallboard');
  await page.getByRole('button', { name: 'Leave (boss)' }).click();
  await page.getByLabel('Token').waitFor();
});

test('an agent is told that the wallboard is not theirs, and signs in under no other name', async () => {
  const page = await open('/');
  await give(page, token('anna', ['agent']));
  await page.getByText('You are anna (agent)').waitFor();
  await shot(page, 'login-denied');
  await page.goto(daemon.url + '/agent');
  const id = page.getByLabel('Agent id');
  assert.equal(await id.inputValue(), 'anna');
  assert.equal(await id.getAttribute('readonly'), '');
  for (const queue of ['billing']) await page.getByRole('checkbox', { name: queue }).check();
  await page.getByRole('button', { name: /^Sign in$/ }).click();
  await page.locator('.rest.free').waitFor();
  await call('SwitchService/CallArrived', token('pbx', ['switch']), { switchId: 'pbx', callId: 'c1', caller: '13800138001', queue: 'billing' });
  await page.locator('.offer').waitFor();
  await page.getByRole('button', { name: /^Accept/ }).click();
  await page.locator('.talk').waitFor();
  await page.reload(); // the call is found again
  await page.locator('.talk').waitFor();
  await page.getByRole('button', { name: 'End call' }).click();
  await page.locator('.rest.free').waitFor();
});

test('when the token ends, the page to sign in comes by itself', async () => {
  const page = await open('/');
  await give(page, token('boss', ['supervisor'], 4));
  await page.locator('.queue').filter({ hasText: 'billing' }).waitFor();
  await page.getByLabel('Token').waitFor();
  const agent = await open('/agent');
  await give(agent, token('ben', ['agent'], 6));
  await agent.getByRole('checkbox', { name: 'billing' }).check();
  await agent.getByRole('button', { name: /^Sign in$/ }).click();
  await agent.locator('.rest.free').waitFor();
  await agent.getByLabel('Token').waitFor();
});
