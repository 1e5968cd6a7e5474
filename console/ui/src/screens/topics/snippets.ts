import { cli, goMain, goString, sh, ts, type Snippet } from '../../code';
import { token } from '../../api';

const origin = () => location.origin;
const auth = () => (token.value ? ' -H "Authorization: Bearer $TOKEN"' : '');
const authTS = () => (token.value ? `, headers: { Authorization: \`Bearer \${token}\` }` : '');
const url = (topic: string, rest = '') => `${origin()}/v1/topics/${encodeURIComponent(topic)}${rest}`;

export function listTopics(): Snippet {
  return {
    cli: cli('parley topic ls'),
    curl: `curl${auth()} ${origin()}/v1/topics`,
    go: goMain('topics, err := c.Topics(ctx)'),
    ts: `const res = await fetch(${ts(`${origin()}/v1/topics`)}${token.value ? `, {${authTS().slice(1)} }` : ''});\nconst { topics } = await res.json();`,
  };
}

export function readTopic(topic: string, from: string): Snippet {
  const query = from ? `?after=${encodeURIComponent(from)}` : '';
  return {
    cli: cli(`parley sub ${sh(topic)}${from ? ` --from ${sh(from)}` : ''}`),
    curl: `curl${auth()} -N -H 'Accept: text/event-stream' ${sh(url(topic, `/events${query}`))}`,
    go: goMain(`for got, err := range c.Subscribe(ctx, client.Subscription{
	Topics: []string{${goString(topic)}},${from ? `\n	From:   ${goString(from)},` : ''}
}) {
	if err != nil {
		return err
	}
	fmt.Printf("%s\\n", got.Data)
}`),
    ts: `// resumes by itself: the id of each event is the cursor
const events = new EventSource(${ts(url(topic, `/events${query}`))}${token.value ? ` + "${query ? '&' : '?'}access_token=" + token` : ''});
events.onmessage = (e) => console.log(e.lastEventId, e.data);`,
  };
}

export interface Draft {
  data: string;
  media: string;
  key: string;
  type: string;
  subject: string;
}

/** The headers of a publish, beside the content type. */
export function headersOf(d: Draft): [string, string][] {
  return ([['Content-Type', d.media], ['Parley-Key', d.key], ['Parley-Type', d.type], ['Parley-Subject', d.subject]] as [string, string][]).filter(([, v]) => v);
}

export function publishEvent(topic: string, d: Draft): Snippet {
  const flags = [[d.key, '--key'], [d.type, '--type'], [d.subject, '--subject'], [d.media, '--content-type']] as [string, string][];
  const headers = headersOf(d);
  const fields = [d.type && `Type: ${goString(d.type)}`, d.subject && `Subject: ${goString(d.subject)}`, `DataContentType: ${goString(d.media)}`, `Data: []byte(${goString(d.data)})`].filter(Boolean);
  return {
    cli: cli(`parley pub ${sh(topic)} ${sh(d.data)}${flags.map(([v, f]) => (v ? ` \\\n  ${f} ${sh(v)}` : '')).join('')}`),
    curl: `curl${auth()} ${sh(url(topic, '/events'))}${headers.map(([k, v]) => ` \\\n  -H ${sh(`${k}: ${v}`)}`).join('')} \\\n  --data-raw ${sh(d.data)}`,
    go: goMain(`e := parley.Event{\n	${fields.join(',\n	')},\n}\n${d.key ? `e.Set(parley.PartitionKey, ${goString(d.key)})\n` : ''}placed, err := c.Publish(ctx, ${goString(topic)}, e)`),
    ts: `const res = await fetch(${ts(url(topic, '/events'))}, {
  method: "POST",
  headers: {
${headers.map(([k, v]) => `    ${ts(k)}: ${ts(v)},`).join('\n')}${token.value ? '\n    Authorization: `Bearer ${token}`,' : ''}
  },
  body: ${ts(d.data)},
});
const { events } = await res.json();`,
  };
}

export function putTopic(topic: string, settings: Record<string, string | number>): Snippet {
  const body = JSON.stringify(settings);
  const flags = Object.entries(settings).map(([k, v]) => ` \\\n  --${k.replaceAll('_', '-')} ${sh(String(v))}`).join('');
  return {
    cli: cli(`parley topic create ${sh(topic)}${flags}`),
    curl: `curl${auth()} -X PUT ${sh(url(topic))} \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    go: goMain(`topic, err := c.PutTopic(ctx, ${goString(topic)}, json.RawMessage(${goString(body)}))`),
    ts: `await fetch(${ts(url(topic))}, {
  method: "PUT",
  headers: { "Content-Type": "application/json"${token.value ? ', Authorization: `Bearer ${token}`' : ''} },
  body: JSON.stringify(${JSON.stringify(settings)}),
});`,
  };
}

export function deleteTopic(topic: string): Snippet {
  return {
    cli: cli(`parley topic rm ${sh(topic)}`),
    curl: `curl${auth()} -X DELETE ${sh(url(topic))}`,
    go: goMain(`err = c.DeleteTopic(ctx, ${goString(topic)})`),
    ts: `await fetch(${ts(url(topic))}, { method: "DELETE"${authTS()} });`,
  };
}
