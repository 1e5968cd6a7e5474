// Says hello in a chat, and shows what everybody says. Runs in a page and in
// Node.js: what is not in both is chosen here.
const server = globalThis.process?.argv[2] ?? new URLSearchParams(location.search).get('server') ?? '127.0.0.1:7275'
const show = globalThis.document ? (line) => document.body.append(line, document.createElement('br')) : console.log

const chat = new WebSocket(`ws://${server}/chat`)

chat.onopen = () => {
  show('in')
  chat.send('Hello everybody')
}
chat.onmessage = ({ data }) => show(`heard: ${data}`)
chat.onerror = () => show('something is wrong')
chat.onclose = ({ code }) => show(`out (${code})`)
