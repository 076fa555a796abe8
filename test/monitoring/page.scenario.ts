import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { postmasterOf } from '../harness/breaking.ts';
import { freeze, until } from '../harness/processes.ts';
import { isInstalled, type Watched, watchedInstance } from './watched.ts';

const program = ['chromium', 'chromium-browser', 'google-chrome'].find(isInstalled);

/** Where a person finds what the browser saw. */
const pictures = process.env['SCREENSHOT_DIR'] ?? mkdtempSync(join(tmpdir(), 'dbkit-page-'));

test.skipIf(program === undefined)('a person looks at the page, in a browser (Debian: chromium)', async () => {
  const watched: Watched = await watchedInstance();
  const browser = await chromium.launch({ executablePath: `/usr/bin/${program}`, args: ['--no-sandbox'] });
  onTestFinished(() => browser.close());
  const complaints: string[] = [];
  const requests: string[] = [];
  mkdirSync(pictures, { recursive: true });
  const open = async (width: number, colorScheme: 'light' | 'dark'): Promise<Page> => {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(`${watched.url}/`);
    await page.screenshot({ path: join(pictures, `page-${width}-${colorScheme}.png`), fullPage: true });
    return page;
  };

  // Everything fits, nothing is asked for, nobody complains.
  for (const [width, scheme] of [
    [1280, 'light'],
    [1280, 'dark'],
    [360, 'light'],
  ] as const) {
    const page = await open(width, scheme);
    const seen = await page.evaluate<{ page: number; window: number; ground: string }>(
      '({ page: document.documentElement.scrollWidth, window: window.innerWidth, ground: getComputedStyle(document.body).backgroundColor })',
    );
    expect(seen.page, `no sideways scrolling at ${width}`).toBeLessThanOrEqual(seen.window);
    expect(seen.ground, 'its own style is let in by its policy').toBe(scheme === 'dark' ? 'rgb(21, 23, 26)' : 'rgb(255, 255, 255)');
    await page.close();
  }
  expect(complaints).toEqual([]);
  expect(requests.filter((url) => url !== `${watched.url}/`)).toEqual([]);

  // It says how it is, and what can be brought back, to whoever hears it too.
  const page = await open(1280, 'light');
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(/^Well/);
  expect(await page.getByRole('img', { name: /A query takes: now/ }).count()).toBe(1);
  expect(await page.getByRole('img', { name: /When they were taken: data_\d{8}_\d{6}, proven/ }).count()).toBe(1);
  expect(
    await page
      .getByRole('row', { name: /connection/ })
      .first()
      .textContent(),
  ).toContain('✓ ok');

  // A keyboard reaches it all.
  await page.keyboard.press('Tab');
  expect(await page.locator(':focus').textContent()).toBe('Skip to the probes');
  await page.keyboard.press('Enter');
  expect(await page.locator(':focus').getAttribute('id')).toBe('probes');
  await page.locator('summary').first().focus();
  await page.keyboard.press('Enter');
  expect(
    await page
      .getByText(/it answered after/)
      .first()
      .isVisible(),
  ).toBe(true);
  await page.close();

  // While the server hangs it still answers, and says so.
  const postmaster = await postmasterOf(watched.instance);
  await freeze(postmaster);
  try {
    await until(
      async () => (await fetch(`${watched.url}/healthz`)).status === 503,
      () => 'the monitor does not notice',
    );
    const unwell = await open(1280, 'light');
    expect(await unwell.getByRole('heading', { level: 1 }).textContent()).toMatch(/Down|Not well/);
    await unwell.close();
  } finally {
    process.kill(postmaster, 'SIGCONT');
  }
});
