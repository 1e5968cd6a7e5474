import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataBytes, matches, rowOf } from '../src/screens/topics/event';
import { elements, layout, members } from '../src/screens/topics/rawjson';

test('members keep their text', () => {
  const all = members(' {"a" : 12345678901234567890 , "b\\"":"x,}]" ,"c":{"d":[1,"]"]},"e":[ ], "f":null}');
  assert.deepEqual([...all], [['a', '12345678901234567890'], ['b"', '"x,}]"'], ['c', '{"d":[1,"]"]}'], ['e', '[ ]'], ['f', 'null']]);
  assert.equal(members('{}').size, 0);
});

test('elements keep their text', () => {
  assert.deepEqual(elements('[ {"a":[1, 2]} , "]" ,3]'), ['{"a":[1, 2]}', '"]"', '3']);
  assert.deepEqual(elements('[]'), []);
});

test('layout changes white space alone', () => {
  for (const text of ['{"a":{"b":[1,2.50,-1e9,true,null]},"c":[],"d":{},"e":"x\\"{,:"}', '[]', '"only"', '12', 'true', '[[[]]]', '{"a" :\n1}']) {
    const laid = layout(text).map(([, t]) => t).join('');
    assert.deepEqual(JSON.parse(laid), JSON.parse(text));
    assert.equal(laid.replace(/\s+/g, ''), text.replace(/\s+/g, ''));
  }
  assert.equal(layout('{"a":[1,2]}').map(([, t]) => t).join(''), '{\n  "a": [\n    1,\n    2\n  ]\n}');
});

test('layout ends whatever the text is cut to', () => {
  const text = '{"a":{"b":[1,2.50,true]},"c":"x\\"y"}';
  for (let i = 0; i <= text.length; i++) assert.ok(layout(text.slice(0, i)).length <= text.length);
});

test('an event gives its data byte for byte', () => {
  const json = rowOf('{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-02T03:04:05.678Z","datacontenttype":"application/json","partitionkey":"k","data":{ "n":1.0 }}');
  assert.deepEqual([json.id, json.type, json.key, json.data, json.bytes, +json.time], ['1', 't', 'k', '{ "n":1.0 }', 11, Date.UTC(2026, 0, 2, 3, 4, 5, 678)]);
  const text = rowOf('{"id":"2","datacontenttype":"text/plain","data":"h\\u00e9"}');
  assert.deepEqual([text.data, text.bytes], ['hé', 3]);
  const bytes = rowOf('{"id":"3","datacontenttype":"image/png","data_base64":"AP+A"}');
  assert.deepEqual([[...dataBytes(bytes)], bytes.bytes], [[0, 255, 128], 3]);
  assert.equal(rowOf('{"id":"4"}').bytes, -1);
});

test('a filter looks for all its words', () => {
  const row = rowOf('{"id":"1","type":"order.Placed","data":{"city":"Köln"}}');
  assert.ok(matches(row, 'placed köln'));
  assert.ok(!matches(row, 'placed bonn'));
});
