import { token } from '../../api';
import { cli, goMain, goString, sh, ts, type Snippet } from '../../code';
import { limitPath, type Definition } from './model';

const url = (path: string) => location.origin + path;
const auth = () => (token.value ? ' -H "Authorization: Bearer $TOKEN"' : '');
const headers = (...more: string[]) => {
  const all = [...more, ...(token.value ? ['Authorization: `Bearer ${token}`'] : [])];
  return all.length ? `headers: { ${all.join(', ')} }` : '';
};
const get = (path: string) => `const res = await fetch(${ts(url(path))}${token.value ? `, { ${headers()} }` : ''});`;

export function listLimits(): Snippet {
  return {
    cli: cli('parley throttle ls'),
    curl: `curl${auth()} ${url('/v1/limits')}`,
    go: goMain('limits, err := c.Limits(ctx)'),
    ts: `${get('/v1/limits')}\nconst { limits } = await res.json();`,
  };
}

export function topKeys(name: string, by: string): Snippet {
  const path = `${limitPath(name, 'keys')}?by=${by}&top=20`;
  return {
    cli: cli(`parley throttle top ${sh(name)} --by ${by} --top 20`),
    curl: `curl${auth()} ${sh(url(path))}`,
    go: goMain(`view, err := c.LimitKeys(ctx, ${goString(name)}, 20, ${goString(by)})
if err != nil {
	return err
}
for _, key := range view.Top {
	fmt.Println(key.Key, key.Counts.Rejected, key.Free)
}`),
    ts: `${get(path)}\nconst { counts, keys, top } = await res.json();`,
  };
}

export function putLimit(name: string, d: Definition): Snippet {
  const body = JSON.stringify(d);
  const flags = [
    `--limit ${sh(d.limit)}`, d.algorithm && `--algorithm ${d.algorithm}`, d.key && `--key ${sh(d.key)}`,
    ...(d.on ?? []).map((on) => `--on ${sh(on)}`), d.action === 'shape' && `--shape ${sh(d.max_wait || '10s')}`, d.mode === 'shadow' && '--shadow',
  ].filter(Boolean);
  const members = [
    `Limit: ${goString(d.limit)}`, d.algorithm && `Algorithm: ${goString(d.algorithm)}`, d.key && `Key: ${goString(d.key)}`,
    d.on?.length && `On: []string{${d.on.map(goString).join(', ')}}`, d.mode && `Mode: ${goString(d.mode)}`,
    d.action && `Action: ${goString(d.action)}`, d.max_wait && `MaxWait: ${goString(d.max_wait)}`,
  ].filter(Boolean);
  return {
    cli: cli(`parley throttle put ${sh(name)} ${flags.join(' ')}`),
    curl: `curl${auth()} -X PUT ${sh(url(limitPath(name)))} \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    go: goMain(`limit, err := c.PutLimit(ctx, ${goString(name)}, client.LimitDefinition{\n	${members.join(',\n	')},\n})`),
    ts: `await fetch(${ts(url(limitPath(name)))}, {
  method: "PUT",
  ${headers('"Content-Type": "application/json"')},
  body: ${ts(body)},
});`,
  };
}

export function deleteLimit(name: string): Snippet {
  return {
    cli: cli(`parley throttle rm ${sh(name)}`),
    curl: `curl${auth()} -X DELETE ${sh(url(limitPath(name)))}`,
    go: goMain(`err = c.DeleteLimit(ctx, ${goString(name)})`),
    ts: `await fetch(${ts(url(limitPath(name)))}, { method: "DELETE"${token.value ? `, ${headers()}` : ''} });`,
  };
}

export function checkLimit(name: string, key: string, cost: number, peek: boolean): Snippet {
  const body = JSON.stringify({ key, cost, ...(peek ? { peek } : {}) });
  const path = `${limitPath(name, 'check')}?refuse=true`;
  return {
    cli: cli(`parley throttle try ${sh(name)} --calls 1 --key ${sh(key)}${cost === 1 ? '' : ` --cost ${cost}`}${peek ? ' --peek' : ''}`),
    curl: `curl -i${auth()} ${sh(url(path))} \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    go: goMain(`got, err := c.CheckLimit(ctx, ${goString(name)}, client.Check{Key: ${goString(key)}, Cost: ${cost}${peek ? ', Peek: true' : ''}})
if err != nil {
	return err
}
if !got.Allowed {
	fmt.Println("again in", got.RetryAfter)
}`),
    ts: `// without ?refuse=true a refusal is an answer with 200 and "allowed": false
const res = await fetch(${ts(url(path))}, {
  method: "POST",
  ${headers('"Content-Type": "application/json"')},
  body: ${ts(body)},
});
if (res.status === 429) console.log("again in", res.headers.get("Retry-After"), "s");`,
  };
}
