package graph

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

// slowly decodes with encoding/json, which is what ours is held against.
func slowly(data []byte) (any, bool) {
	if !json.Valid(data) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	return goNumbers(v)
}

func goNumbers(v any) (_ any, ok bool) {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(string(v)); err == nil {
			return n, true
		}
		if n, ok := new(big.Int).SetString(string(v), 10); ok && len(v) <= 400 {
			return n, true
		}
		f, err := v.Float64()
		return f, err == nil
	case []any:
		for i := range v {
			if v[i], ok = goNumbers(v[i]); !ok {
				return nil, false
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], ok = goNumbers(v[k]); !ok {
				return nil, false
			}
		}
	}
	return v, true
}

var texts = []string{
	`{"id":17,"total":120.5,"city":"Bonn","tags":["a","b",null,true,false],"deep":{"er":{"x":-1e3}}}`,
	` [ 1 , -0 , 0.5 , 12345678901234567890 , 1e999 ] `, `"\u00e9\ud83d\ude00\ud800x\"\\\/\b\f\n\r\t"`, `{"a":1,"a":{"b":2},"a":[]}`,
	`{"a":{"b":1},"a":{}}`, `{"a":{"b":1,"c":2}}`, `{"\u0061":{"b":1}}`, `{"a":"b"}`, "\"\xff\xc3\xa9\"", "\"a\tb\"", `"\x"`, `"\u12g4"`, `01`, `-`, `1.`, `1e`, `.5`, `+1`,
	`{"a":1,}`, `[1,]`, `{a:1}`, `{"a"}`, `nul`, `trueish`, `1 2`, `1]`, ``, ` `, `{`, `["`, `"a`, `"12345678`, `"1234567\`, `{"aaaaaaaa":"bbbbbbbbbbbbbbbbbbbbbbbb\"c"}`,
}

// decoding says what encoding/json says, and a part of it is that part.
func decoding(t *testing.T, data []byte) {
	t.Helper()
	want, ok := slowly(data)
	got, err := decode(data)
	if ok != (err == nil) || ok && !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %#v (%v), want %#v (%v)", data, got, err, want, ok)
	}
	if isOne(data) != json.Valid(data) {
		t.Fatalf("%q is one value: %v", data, isOne(data))
	}
	paths := [][]string{{"total"}, {"a", "b"}, {"deep", "er", "x"}, {"deep", "y"}, {"\ufffd"}}
	scanning(t, data, paths)
	part, err := decodeOnly(data, needs(paths))
	if json.Valid(data) != (err == nil) && parley.CodeOf(err) != parley.TooLarge && (ok || err == nil || !strings.Contains(err.Error(), "too large")) {
		t.Fatalf("%q: %v", data, err)
	}
	for _, path := range paths {
		if ok && !reflect.DeepEqual(at(part, path), at(want, path)) {
			t.Fatalf("%q: %v is %#v, want %#v", data, path, at(part, path), at(want, path))
		}
	}
}

// scanning finds what decoding gives, in what is JSON.
func scanning(t *testing.T, data []byte, paths [][]string) {
	t.Helper()
	var of members
	for _, path := range append(paths, []string{"a"}) {
		of.slot(path)
	}
	found := make([]extent, of.count)
	if ok := scan(data, &of, found); ok != json.Valid(data) {
		t.Fatalf("%q is JSON: %v", data, ok)
	} else if !ok {
		return
	}
	all, err := decode(data)
	if err != nil {
		return // a number is too large
	}
	for _, path := range paths {
		got := found[of.slot(path)]
		want, why := down(all, path)
		if got.from < 0 || why < 0 {
			if got.from != why {
				t.Fatalf("%q: %v is missing for %d, want %d", data, path, got.from, why)
			}
			continue
		}
		if v, err := decode(data[got.from:got.to]); err != nil || !reflect.DeepEqual(v, want) {
			t.Fatalf("%q: %v is %#v (%v), want %#v", data, path, v, err, want)
		}
		written, err := encode(want)
		if copied, ok := appendMember(nil, data[got.from:got.to]); err != nil || !ok || !bytes.Equal(copied, written) {
			t.Fatalf("%q: %v is written as %s, want %s", data, path, copied, written)
		}
	}
}

// down gives the member at a path, or why there is none.
func down(v any, path []string) (_ any, why int32) {
	for _, name := range path {
		switch object := v.(type) {
		case map[string]any:
			inner, there := object[name]
			if v = inner; !there {
				if why == 0 {
					why = lacking
				} else {
					why = nowhere
				}
			}
		case nil:
			why = nowhere
		default:
			return nil, blocked
		}
	}
	return v, why
}

// at goes down a path; what is no object on the way is what counts.
func at(v any, path []string) any {
	object, is := v.(map[string]any)
	if !is || len(path) == 0 {
		return v
	}
	return at(object[path[0]], path[1:])
}

func TestDecode(t *testing.T) {
	for _, text := range texts {
		decoding(t, []byte(text))
	}
	for _, text := range []string{strings.Repeat("[", MaxDepthOfData+1), `{"x":` + strings.Repeat("[", MaxDepthOfData)} {
		if _, err := decodeOnly([]byte(text), needs([][]string{{"a"}})); parley.CodeOf(err) != parley.TooLarge {
			t.Errorf("%.20s…: %v", text, err)
		}
	}
	if _, err := decode([]byte(strings.Repeat("[", MaxDepthOfData) + strings.Repeat("]", MaxDepthOfData))); err != nil {
		t.Error(err)
	}
	for deep := range 3 {
		deep += MaxDepthOfData
		if text := strings.Repeat("[", deep) + strings.Repeat("]", deep); !isOne([]byte(text)) || isOne([]byte(text[1:])) {
			t.Errorf("%d brackets are one value: %v", deep, isOne([]byte(text)))
		}
	}
	if v, err := decodeOnly([]byte(`{"b":1e999,"a":1}`), needs([][]string{{"a"}})); err != nil || at(v, []string{"a"}) != 1 {
		t.Errorf("what is not needed matters: %v, %v", v, err)
	}
}

// Every byte of a string is looked at, wherever it stands among eight.
func TestDecodeStrings(t *testing.T) {
	for c := range 256 {
		for n := range 20 {
			decoding(t, []byte(`{"a":{"b":"`+strings.Repeat("x", n)+string([]byte{byte(c)})+`yyyyyyyyyy"}}`))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) <= MaxDepthOfData {
			decoding(t, data)
		}
	})
}
