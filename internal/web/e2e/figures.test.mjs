// What the wallboard costs: bytes until the first paint, and the time from a change
// in the engine until it is painted while 200 wallboards are open.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Browser, clean, within } from './browser.mjs';
import { Daemon } from './daemon.mjs';

let daemon, browser;
before(async () => { [daemon, browser] = [await Daemon.start(), await Browser.start()]; });
after(async () => { await browser?.close(); await daemon?.remove(); });

test('the first paint takes less than 300 kB on a cold cache', async () => {
  for (const path of ['/', '/agent']) {
    const context = await browser.chromium.newContext();
    const page = await context.newPage();
    const wire = await context.newCDPSession(page);
    await wire.send('Network.enable');
    let bytes = 0, files = 0;
    wire.on('Network.loadingFinished', (e) => { bytes += e.encodedDataLength; files++; });
    await page.goto(daemon.url + path, { waitUntil: 'load' });
    await page.locator('.queue, fieldset li').first().waitFor();
    const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    console.log(`# ${path}: ${(bytes / 1000).toFixed(1)} kB in ${files} files, first paint after ${paint?.toFixed(0)} ms`);
    assert.ok(bytes > 5000 && bytes < 300000, `${path}: ${bytes} bytes`);
    // And once more with a warm one: everything is asked for, nothing is sent again.
    let again = 0;
    wire.on('Network.loadingFinished', (e) => { again += e.encodedDataLength; });
    await page.reload({ waitUntil: 'load' });
    await page.locator('.queue, fieldset li').first().waitFor();
    console.log(`# ${path}: ${(again / 1000).toFixed(1)} kB when it is loaded again`);
    assert.ok(again < bytes, `${path}: ${again} bytes when it is loaded again`);
    await context.close();
  }
});

test('a change is painted while 200 wallboards are open', async () => {
  const agent = new http.Agent({ maxSockets: 300 });
  const others = await Promise.all(Array.from({ length: 200 }, () => new Promise((resolve, reject) => {
    const req = http.get(daemon.url + '/wallboard/stream', { agent, headers: { 'Accept-Encoding': 'gzip' } }, (res) => { res.once('data', () => resolve(req)); res.resume(); });
    req.on('error', reject);
  })));
  const page = await browser.page(daemon.url + '/');
  await page.locator('.queue').first().waitFor();
  const took = [];
  for (let i = 0; i < 60; i++) {
    const painted = page.evaluate((n) => new Promise((resolve) => {
      const look = () => {
        if (document.querySelector('.tile.waiting .huge').textContent === String(n)) requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
        else requestAnimationFrame(look);
      };
      look();
    }), i + 1);
    const began = performance.timeOrigin + performance.now();
    await daemon.arrive('p' + i, '1380014' + String(1000 + i));
    took.push(await painted - began);
  }
  took.sort((a, b) => a - b);
  const p99 = took[Math.ceil(took.length * 0.99) - 1];
  console.log(`# change until painted, 200 wallboards open: p50 ${took[30].toFixed(0)} ms of ${took.length}`);
  within(1000, p99, 'change until painted, 200 wallboards open, p99');
  clean(page);
  for (const req of others) { req.on('error', () => {}); req.destroy(); }
  agent.destroy();
});
