import { token } from '../../api';
import { cli, goMain, goString, sh, ts, type Snippet } from '../../code';
import { pipePath } from './model';

const url = (path: string) => location.origin + path;
const auth = () => (token.value ? ' -H "Authorization: Bearer $TOKEN"' : '');
const bearer = 'Authorization: `Bearer ${token}`';
const headers = (more = '') => (token.value || more ? `headers: { ${[token.value ? bearer : '', more].filter(Boolean).join(', ')} }` : '');
const get = (path: string) => `const res = await fetch(${ts(url(path))}${token.value ? `, { ${headers()} }` : ''});`;

export function listPipes(): Snippet {
  return {
    cli: cli('parley pipe list'),
    curl: `curl${auth()} ${url('/v1/pipes')}`,
    go: goMain('pipes, err := c.Pipes(ctx)'),
    ts: `${get('/v1/pipes')}\nconst { pipes } = await res.json();`,
  };
}

export function showPipe(name: string): Snippet {
  return {
    cli: [cli(`parley pipe show ${sh(name)}`), cli(`parley pipe stats ${sh(name)}`)].join('\n'),
    curl: `curl${auth()} ${sh(url(pipePath(name)))}\ncurl${auth()} ${sh(url(pipePath(name, 'stats')))}`,
    go: goMain(`stats, err := c.PipeStats(ctx, ${goString(name)})
if err != nil {
	return err
}
for _, s := range stats.Steps {
	fmt.Println(s.Path, s.Kind, s.In, s.Out, s.Errors, s.Micros)
}`),
    ts: `${get(pipePath(name, 'stats'))}\nconst { state, lag, steps } = await res.json();`,
  };
}

export function putPipe(name: string, text: string, drain: boolean): Snippet {
  const path = pipePath(name) + (drain ? '?drain=true' : '');
  return {
    cli: cli(`parley pipe put ${sh(`${name}.yaml`)}${drain ? ' --drain' : ''}`),
    curl: `curl${auth()} -X PUT ${sh(url(path))} \\\n  -H 'Content-Type: application/yaml' --data-binary ${sh(`@${name}.yaml`)}`,
    go: goMain(`_, created, err := c.PutPipe(ctx, ${goString(name)}, []byte(${goString(text)}), declared.PutOptions{${drain ? 'Drain: true' : ''}})`),
    ts: `const res = await fetch(${ts(url(path))}, {
  method: "PUT",
  ${headers('"Content-Type": "application/yaml"')},
  body: ${ts(text)},
});`,
  };
}

const verbs: Record<string, [command: string, method: string]> = { start: ['resume', 'StartPipe'], pause: ['pause', 'PausePipe'], stop: ['stop', 'StopPipe'] };

export function setPipe(name: string, verb: 'start' | 'pause' | 'stop'): Snippet {
  const [command, method] = verbs[verb]!;
  return {
    cli: cli(`parley pipe ${command} ${sh(name)}`),
    curl: `curl${auth()} -X POST ${sh(url(pipePath(name, verb)))}`,
    go: goMain(`err = c.${method}(ctx, ${goString(name)})`),
    ts: `await fetch(${ts(url(pipePath(name, verb)))}, { method: "POST"${token.value ? `, ${headers()}` : ''} });`,
  };
}

export function deletePipe(name: string): Snippet {
  return {
    cli: cli(`parley pipe delete ${sh(name)}`),
    curl: `curl${auth()} -X DELETE ${sh(url(pipePath(name)))}`,
    go: goMain(`err = c.DeletePipe(ctx, ${goString(name)})`),
    ts: `await fetch(${ts(url(pipePath(name)))}, { method: "DELETE"${token.value ? `, ${headers()}` : ''} });`,
  };
}

export function tapStep(name: string, step: string): Snippet {
  const path = `${pipePath(name, 'tap')}?step=${encodeURIComponent(step)}`;
  return {
    cli: cli(`parley pipe tap ${sh(name)} ${sh(step)}`),
    curl: `curl -N${auth()} ${sh(url(path))}`,
    go: goMain(`for t, err := range c.TapPipe(ctx, ${goString(name)}, ${goString(step)}) {
	if err != nil {
		return err
	}
	fmt.Printf("%s -> %s\\n", t.Before, t.After)
}`),
    ts: `const tap = new EventSource(${ts(url(path))});\ntap.onmessage = (e) => console.log(JSON.parse(e.data));\ntap.addEventListener("dropped", (e) => console.log(JSON.parse(e.data).dropped, "not shown"));`,
  };
}
