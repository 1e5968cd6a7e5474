import { useEffect, useState } from 'preact/hooks';
import { json, problemOf, topicPath, type Problem } from '../../api';
import { cli, Code, sh } from '../../code';
import { usePoll } from '../../poll';
import { Dialog, Empty, ErrorPanel, Field } from '../../ui';
import { diff } from './diff';
import { NewVersion } from './schemanew';
import { showSchema } from './schemasnippets';

/** One version of a schema; lists have no text. */
export interface Version { topic: string; type?: string; version: number; compatibility: string; created: string; schema?: unknown }

const query = (kind: string) => (kind ? `?type=${encodeURIComponent(kind)}` : '');

/** What the events of a topic have to be: each schema with its versions, and what changed between them. */
export function SchemasDialog({ topic, onClose }: { topic: string; onClose: () => void }) {
  const { value: all, problem, look } = usePoll((signal) => json<{ schemas: Version[] }>(topicPath(topic, 'schemas'), { signal }).then((a) => a.schemas), 3000, [topic]);
  const [kind, setKind] = useState('');
  const [writing, write] = useState(false);
  const newest = all?.find((s) => (s.type ?? '') === kind) ?? all?.[0];
  return (
    <Dialog title={`Schemas of ${topic}`} onClose={onClose} wide>
      <div class="stack schemas">
        {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
        {!all && !problem && <p class="muted" role="status">Loading…</p>}
        {all?.length === 0 && !writing && (
          <Empty title="Its events may be anything" command={cli(`parley schema put ${sh(topic)} order.json`)}>
            A JSON Schema says what they have to be: whoever publishes another is refused, and told where it breaks. <button class="link" onClick={() => write(true)}>Write one</button>
          </Empty>
        )}
        {all && all.length > 1 && (
          <Field label="For">
            <select value={newest?.type ?? ''} onChange={(e) => { setKind(e.currentTarget.value); write(false); }}>{all.map((s) => <option key={s.type ?? ''} value={s.type ?? ''}>{s.type ? `events of type ${s.type}` : 'all events'}</option>)}</select>
          </Field>
        )}
        {writing
          ? <NewVersion key={newest?.type ?? ''} topic={topic} of={newest} onClose={() => write(false)} onDone={(v) => { setKind(v.type ?? ''); write(false); look(); }} />
          : newest && <Versions key={`${newest.type ?? ''} ${newest.version}`} topic={topic} newest={newest} onWrite={() => write(true)} />}
      </div>
    </Dialog>
  );
}

const laid = (v?: Version) => (v ? JSON.stringify(v.schema, null, 2) : '');

function Versions({ topic, newest, onWrite }: { topic: string; newest: Version; onWrite: () => void }) {
  const kind = newest.type ?? '';
  const { value: list } = usePoll((signal) => json<{ versions: Version[] }>(topicPath(topic, 'schema', 'versions') + query(kind), { signal }).then((a) => a.versions), 30_000, [topic, kind]);
  const [version, setVersion] = useState(newest.version);
  const [chosen, setOlder] = useState<number | null>(null);
  const [texts, setTexts] = useState<Record<number, Version>>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  const numbers = (list ?? [newest]).map((v) => v.version).reverse(), shown = texts[version];
  const older = chosen ?? numbers.find((n) => n < version) ?? 0; // the one before
  useEffect(() => {
    const abort = new AbortController();
    for (const n of [version, older]) {
      if (!n || texts[n]) continue; // versions never change
      json<Version>(topicPath(topic, 'schema', 'versions', String(n)) + query(kind), { signal: abort.signal }).then(
        (v) => setTexts((all) => ({ ...all, [n]: v })),
        (err) => { if (!abort.signal.aborted) setProblem(problemOf(err)); },
      );
    }
    return () => abort.abort();
  }, [version, older]);
  return (
    <>
      <div class="fields">
        <Field label="Version"><select data-testid="version" value={version} onChange={(e) => setVersion(Number(e.currentTarget.value))}>{numbers.map((n) => <option key={n} value={n}>{n === newest.version ? `${n}, the newest` : n}</option>)}</select></Field>
        <Field label="Compared with"><select data-testid="older" value={older} onChange={(e) => setOlder(Number(e.currentTarget.value))}><option value={0}>nothing</option>{numbers.filter((n) => n !== version).map((n) => <option key={n} value={n}>{n}</option>)}</select></Field>
        <Field label="A new one has to be"><output class="rule">{newest.compatibility.replaceAll('_', ' ')}</output></Field>
      </div>
      {problem && <ErrorPanel problem={problem} />}
      {shown && (!older || texts[older]) && <Text older={older && older !== version ? laid(texts[older]) : null} text={laid(shown)} />}
      {shown && <p class="muted small">Version {version} is of {new Date(shown.created).toLocaleString()}.</p>}
      <Code of={showSchema(topic, kind, version, older === version ? 0 : older)} />
      <div class="actions"><button onClick={onWrite}>New version</button></div>
    </>
  );
}

/** A schema, or how it differs from an older one. */
function Text({ older, text }: { older: string | null; text: string }) {
  const lines = older === null ? diff(text, text) : diff(older, text);
  const more = lines.filter((l) => l.kind === '+').length, less = lines.filter((l) => l.kind === '-').length;
  return (
    <figure class="wire diff" tabIndex={0} aria-label={older === null ? 'The schema' : `The schema: ${more} lines more, ${less} less`} data-testid="schema">
      <pre>
        {lines.map((l, i) => (l.kind === ' ' ? <span key={i}>{older !== null && '  '}{l.text}{'\n'}</span> : l.kind === '+' ? <ins key={i}>+ {l.text}{'\n'}</ins> : <del key={i}>- {l.text}{'\n'}</del>))}
      </pre>
    </figure>
  );
}
