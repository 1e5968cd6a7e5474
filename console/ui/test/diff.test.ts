import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diff } from '../src/screens/topics/diff';

const show = (a: string, b: string) => diff(a, b).map((l) => l.kind + l.text).join('\n');

test('lines that differ, and only those', () => {
  assert.equal(show('a\nb\nc', 'a\nb\nc'), ' a\n b\n c');
  assert.equal(show('a\nb\nc', 'a\nx\nc'), ' a\n-b\n+x\n c');
  assert.equal(show('a\nb', 'a\nb\nc\nd'), ' a\n b\n+c\n+d');
  assert.equal(show('b', 'a\nb'), '+a\n b');
  assert.equal(show('1\na\nb\nc\n2', '3\nb\nd\nc\n4'), '-1\n-a\n+3\n b\n+d\n c\n-2\n+4');
});

test('both texts can be read from a comparison', () => {
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 300; round++) {
    const text = () => Array.from({ length: Math.floor(random() * 12) }, () => 'abc'[Math.floor(random() * 3)]).join('\n');
    const a = text(), b = text(), lines = diff(a, b);
    assert.equal(lines.filter((l) => l.kind !== '+').map((l) => l.text).join('\n'), a);
    assert.equal(lines.filter((l) => l.kind !== '-').map((l) => l.text).join('\n'), b);
  }
});

test('texts that are too long to compare are told apart as a whole', () => {
  const a = Array.from({ length: 2100 }, (_, i) => `a${i}`).join('\n'), b = Array.from({ length: 2100 }, (_, i) => `b${i}`).join('\n');
  const lines = diff(`same\n${a}`, `same\n${b}`);
  assert.equal(lines.length, 4201);
  assert.equal(lines[0]!.kind, ' ');
});
