// Drives one Chromium as it is told on standard input, a line of JSON for each
// command and one for each answer; see driver_test.go.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const require = createRequire(import.meta.url)
const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})

const pages = [] // { page, errors, requests }

const commands = {
  // A page in a context of its own, so that nothing is shared between two.
  async open({ url, width = 1280, height = 800, dark = false }) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light' })
    const page = await context.newPage()
    const opened = { page, errors: [], requests: [] }
    page.on('console', (m) => { if (m.type() === 'error') opened.errors.push(`${m.text()} (${m.location().url})`) })
    page.on('pageerror', (e) => opened.errors.push(String(e)))
    context.on('request', (r) => opened.requests.push(r.url()))
    page.on('websocket', (ws) => opened.requests.push(ws.url()))
    await page.goto(url)
    return pages.push(opened) - 1
  },
  eval: ({ page, js }) => pages[page].page.evaluate(js),
  click: ({ page, selector }) => pages[page].page.click(selector, { timeout: 10_000 }),
  fill: ({ page, selector, text }) => pages[page].page.fill(selector, text, { timeout: 10_000 }),
  press: ({ page, keys }) => pages[page].page.keyboard.press(keys),
  async axe({ page }) {
    await pages[page].page.evaluate(axeSource)
    const { violations } = await pages[page].page.evaluate(() => globalThis.axe.run())
    return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`)
  },
  shot: ({ page, path }) => pages[page].page.screenshot({ path, fullPage: true }).then(() => path),
  errors: ({ page }) => pages[page].errors,
  requests: ({ page }) => pages[page].requests,
  close: ({ page }) => pages[page].page.context().close(),
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  let reply
  try {
    reply = { value: await commands[command.do](command) ?? null }
  } catch (error) {
    reply = { error: String(error) }
  }
  process.stdout.write(JSON.stringify(reply) + '\n')
}
await browser.close()
