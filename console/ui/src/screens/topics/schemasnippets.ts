import { token, topicPath } from '../../api';
import { cli, goMain, goString, sh, ts, type Snippet } from '../../code';

const url = (path: string) => location.origin + path;
const auth = () => (token.value ? ' -H "Authorization: Bearer $TOKEN"' : '');
const kindOf = (kind: string) => (kind ? `?type=${encodeURIComponent(kind)}` : '');
const flag = (kind: string) => (kind ? ` --type ${sh(kind)}` : '');
const headers = (...more: string[]) => {
  const all = [...more, ...(token.value ? ['Authorization: `Bearer ${token}`'] : [])];
  return all.length ? `headers: { ${all.join(', ')} }` : '';
};

/** A version of a schema, or what is different between two. */
export function showSchema(topic: string, kind: string, version: number, older: number): Snippet {
  const path = topicPath(topic, 'schema', 'versions', String(version)) + kindOf(kind);
  const get = token.value ? `, { ${headers()} }` : '';
  return {
    cli: cli(older ? `parley schema diff ${sh(topic)} ${older} ${version}${flag(kind)}` : `parley schema get ${sh(topic)} --version ${version}${flag(kind)}`),
    curl: `curl${auth()} ${sh(url(path))}`,
    go: goMain(`version, err := c.Schema(ctx, ${goString(topic)}, ${goString(kind)}, ${version})`),
    ts: `const res = await fetch(${ts(url(path))}${get});\nconst { schema, compatibility } = await res.json();`,
  };
}

/** A new version. */
export function putSchema(topic: string, kind: string, text: string, rule: string): Snippet {
  const path = topicPath(topic, 'schema') + kindOf(kind);
  const body = `{"schema": ${text}${rule ? `, "compatibility": "${rule}"` : ''}}`;
  return {
    cli: `${cli(`parley schema put ${sh(topic)} -${flag(kind)}${rule ? ` --compatibility ${rule}` : ''}`)} <<'END'\n${text}\nEND`,
    curl: `curl${auth()} -X PUT ${sh(url(path))} \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    go: goMain(`version, err := c.PutSchema(ctx, ${goString(topic)}, ${goString(kind)}, json.RawMessage(${goString(text)}), ${goString(rule)})`),
    ts: `await fetch(${ts(url(path))}, {
  method: "PUT",
  ${headers('"Content-Type": "application/json"')},
  body: ${ts(body)},
});`,
  };
}
