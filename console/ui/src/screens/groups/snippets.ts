import { token } from '../../api';
import { cli, goMain, goString, sh, ts, type Snippet } from '../../code';
import { groupPath, type Place } from './model';

const url = (path: string) => location.origin + path;
const auth = () => (token.value ? ' -H "Authorization: Bearer $TOKEN"' : '');
const bearer = 'Authorization: `Bearer ${token}`';
const get = (path: string) => `const res = await fetch(${ts(url(path))}${token.value ? `, { headers: { ${bearer} } }` : ''});`;

/** The command that reads as a member, and makes the group if need be. */
export const joinCommand = (name = 'billing', topic = 'orders') => cli(`parley stream tail ${sh(topic)} --who ${sh(name)}`);

export function listGroups(): Snippet {
  return {
    cli: cli('parley stream groups'),
    curl: `curl${auth()} ${url('/v1/groups')}`,
    go: goMain('groups, err := c.Groups(ctx)'),
    ts: `${get('/v1/groups')}\nconst { groups } = await res.json();`,
  };
}

export function showGroup(name: string): Snippet {
  return {
    cli: cli(`parley stream group ${sh(name)}`),
    curl: `curl${auth()} ${sh(url(groupPath(name)))}`,
    go: goMain(`info, err := c.Group(${goString(name)}).Info(ctx)
if err != nil {
	return err
}
for _, p := range info.Partitions {
	fmt.Println(p.Topic, p.Partition, p.Committed, p.End, p.Member)
}`),
    ts: `${get(groupPath(name))}\nconst { state, members, partitions, lag } = await res.json();`,
  };
}

/** What a seek asks for. */
export interface Target { to?: string; topics?: string[]; positions?: Place[] }

export function seekGroup(name: string, t: Target): Snippet {
  const body = JSON.stringify(t), path = groupPath(name, 'seek');
  const flags = t.positions
    ? t.positions.map((p) => ` --position ${sh(`${p.topic}/${p.partition}=${p.position}`)}`)
    : [` --to ${sh(t.to || 'earliest')}`, ...(t.topics ?? []).map((topic) => ` --topic ${sh(topic)}`)];
  const members = t.positions
    ? `Positions: []stream.Place{${t.positions.map((p) => `{Topic: ${goString(p.topic)}, Partition: ${p.partition}, Position: ${p.position}}`).join(', ')}}`
    : `To: ${goString(t.to ?? '')}${t.topics?.length ? `, Topics: []string{${t.topics.map(goString).join(', ')}}` : ''}`;
  return {
    cli: cli(`parley stream seek ${sh(name)}${flags.join('')}`),
    curl: `curl${auth()} ${sh(url(path))} \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    go: goMain(`places, err := c.Group(${goString(name)}).Seek(ctx, client.GroupSeek{${members}})`),
    ts: `const res = await fetch(${ts(url(path))}, {
  method: "POST",
  headers: { "Content-Type": "application/json"${token.value ? `, ${bearer}` : ''} },
  body: JSON.stringify(${JSON.stringify(t)}),
});
const { partitions } = await res.json(); // where the group is now`,
  };
}

export function deleteGroup(name: string, force: boolean): Snippet {
  const path = groupPath(name) + (force ? '?force=true' : '');
  return {
    cli: cli(`parley stream group ${sh(name)} --delete${force ? ' --force' : ''}`),
    curl: `curl${auth()} -X DELETE ${sh(url(path))}`,
    go: goMain(`err = c.Group(${goString(name)}).Delete(ctx, ${force})`),
    ts: `await fetch(${ts(url(path))}, { method: "DELETE"${token.value ? `, headers: { ${bearer} }` : ''} });`,
  };
}
