import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Browser, clean, shot } from './browser.mjs';
import { Daemon } from './daemon.mjs';

let daemon, browser;
before(async () => { [daemon, browser] = [await Daemon.start(), await Browser.start()]; });
after(async () => { await browser?.close(); await daemon?.remove(); });

const pages = [];
const open = async (path, options) => {
  const page = await browser.page(daemon.url + path, options);
  pages.push(page);
  return page;
};
afterEach(async () => {
  for (const page of pages.splice(0)) { clean(page); await page.context().close(); }
});

test('a call beyond its threshold is seen at once, in colour and in words', async () => {
  const page = await open('/');
  const support = page.locator('.queue').filter({ hasText: 'support' });
  await daemon.arrive('s1', '13800138100', 'support');
  const row = support.locator('tr[data-tier=ordinary]');
  await row.locator('.number').first().getByText('1', { exact: true }).waitFor();
  assert.equal(await support.getAttribute('data-urgency'), null);
  await support.locator('.flag').getByText('▲ 1 LATE').waitFor();
  await row.getByText(/▲ 0:0[2-9]/).waitFor();
  await page.locator('.tile.waiting').getByText('1 beyond').waitFor();
  assert.match(await page.title(), /^▲1 /);
  assert.match(await page.locator('#news').innerText(), /support, Ordinary: a caller waits beyond the threshold/);
  // A blacklisted caller who waits as long is no cause for alarm.
  await daemon.tier('13800138101', 'BLACKLIST');
  await daemon.arrive('s2', '13800138101', 'support');
  await support.locator('tr[data-tier=blacklist][data-urgency=over]').waitFor();
  await support.locator('.flag').getByText('▲ 1 LATE').waitFor();
  await daemon.hangUp('s1');
  await support.locator('.flag').waitFor({ state: 'hidden' });
  await daemon.hangUp('s2');
});

test('the waiting list masks numbers, and explains a call', async () => {
  await daemon.tier('13800138110', 'VIP');
  await daemon.arrive('w1', '13800138111');
  await daemon.arrive('w2', '13800138110');
  const page = await open('/');
  const sent = [];
  page.on('response', async (r) => { if (r.url().includes('greenlane.v1')) sent.push(await r.text().catch(() => '')); });
  await page.getByRole('button', { name: 'Waiting list of billing' }).click();
  const rows = page.locator('dialog tbody tr');
  await rows.nth(1).waitFor();
  assert.match(await rows.nth(0).innerText(), /1\s+VIP\s+•••• 8110/);
  assert.match(await rows.nth(1).innerText(), /2\s+Ordinary\s+•••• 8111/);
  await rows.nth(1).getByRole('button').press('Enter');
  await page.getByText('Number 2 in its queue').waitFor();
  await page.getByText('Before it: 1 VIP').waitFor();
  await page.getByText('It waits in queue billing as ordinary').waitFor();
  await shot(page, 'wallboard-explain');
  await page.getByRole('button', { name: 'Back' }).click();
  await daemon.hangUp('w2');
  await daemon.hangUp('w1');
  await page.getByText('Nobody waits in this queue.').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'hidden' });
  assert.ok(sent.length > 0 && !sent.some((text) => text.includes('138001381')), 'a full number was sent to the wallboard');
});

test('waits are counted by the daemon’s clock, whatever this one shows', async () => {
  await daemon.arrive('z1', '13800138120');
  const context = await browser.chromium.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => { const real = Date.now; Date.now = () => real() + 3600e3; });
  await page.goto(daemon.url + '/');
  await page.locator('.tile.longest').getByText(/^(◆ |▲ )?0:\d\d$/).waitFor();
  await daemon.hangUp('z1');
  await context.close();
});

test('an answer that does not come is noticed', async () => {
  const page = await open('/');
  await page.getByText('Live').waitFor();
  // A daemon that hangs keeps its connections, and says nothing.
  process.kill(daemon.child.pid, 'SIGSTOP');
  try {
    await page.getByText(/Data from .* s old/).waitFor();
    assert.equal(await page.locator('body').getAttribute('data-stale'), '');
  } finally {
    process.kill(daemon.child.pid, 'SIGCONT');
  }
  await page.getByText('● Live').waitFor();
});

test('language and theme follow the browser, and the switches', async () => {
  const page = await open('/', { lang: 'zh-CN', theme: 'light' });
  await page.getByText('今日服务水平').waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
  await page.getByRole('button', { name: 'English' }).click();
  await page.getByText('Service level today', { exact: true }).waitFor();
  await page.getByRole('button', { name: /Theme: Auto/ }).click();
  await page.getByRole('button', { name: /Theme: Light/ }).click();
  await page.getByRole('button', { name: /Theme: Dark/ }).waitFor();
  await page.reload();
  await page.getByText('Service level today', { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
});
