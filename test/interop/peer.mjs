// Reads topics with the WebSocket and EventSource clients of npm, as it is told
// on standard input: see peer.py for the lines.
import { createInterface } from 'node:readline'
import { EventSource } from 'eventsource'
import { EventSource as UndiciEventSource, WebSocket as UndiciWebSocket } from 'undici'
import WebSocket from 'ws'

const encode = (data) => Buffer.from(data).toString('base64')

// Held polls with the fetch of the platform.
async function poll({ url, topic, after, count }) {
  const items = []
  for (let missing = count; missing > 0;) {
    const query = new URLSearchParams({ after, limit: Math.min(missing, 100), wait: '30s' })
    const response = await fetch(`${url}/v1/topics/${topic}/events?${query}`)
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    const body = Buffer.from(await response.arrayBuffer())
    const page = JSON.parse(body)
    after = page.cursor
    missing -= page.events.length
    if (page.events.length > 0) items.push({ body: encode(body) })
  }
  return items
}

function stream(Source, { url, topic, after, count }) {
  return new Promise((resolve, reject) => {
    const query = new URLSearchParams({ topic, after })
    const source = new Source(`${url}/v1/sse?${query}`)
    const items = []
    source.onmessage = (event) => {
      items.push({ body: encode(event.data), cursor: event.lastEventId })
      if (items.length < count) return
      source.close()
      resolve(items)
    }
    source.onerror = (event) => {
      source.close()
      reject(new Error(`the stream broke: ${event.message ?? event.type}`))
    }
  })
}

function socket(Socket, protocols, { url, topic, after, count }) {
  return new Promise((resolve, reject) => {
    const query = new URLSearchParams({ after })
    const ws = new Socket(`${url.replace('http', 'ws')}/v1/topics/${topic}/ws?${query}`, protocols)
    ws.binaryType = 'arraybuffer'
    const items = []
    let missing = count
    ws.onmessage = ({ data }) => {
      if (missing <= 0) return
      const text = typeof data === 'string'
      missing -= protocols.length > 0 ? (JSON.parse(data).events ?? []).length : 1
      items.push({ text, body: encode(data) })
      if (missing <= 0) ws.close(1000)
    }
    ws.onerror = (event) => reject(new Error(`the socket failed: ${event.message ?? event.error}`))
    ws.onclose = ({ code, reason }) => {
      if (missing <= 0 && code === 1000) resolve(items)
      else reject(new Error(`the socket was closed: ${code} ${reason}`))
    }
  })
}

const clients = {
  'fetch held': poll,
  'eventsource': (r) => stream(EventSource, r),
  'undici eventsource': (r) => stream(UndiciEventSource, r),
  'ws': (r) => socket(WebSocket, [], r),
  'ws framed': (r) => socket(WebSocket, ['parley.v1'], r),
  'undici websocket': (r) => socket(UndiciWebSocket, [], r),
  'undici websocket framed': (r) => socket(UndiciWebSocket, ['parley.v1'], r),
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const request = JSON.parse(line)
  let reply
  try {
    reply = { items: await clients[request.client](request) }
  } catch (error) {
    reply = { error: String(error) }
  }
  process.stdout.write(JSON.stringify({ id: request.id, ...reply }) + '\n')
})
