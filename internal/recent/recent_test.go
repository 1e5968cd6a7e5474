package recent

import (
	"testing"
	"time"
)

func TestKeys(t *testing.T) {
	b := Bounds{Keys: 10_000, For: time.Minute}
	const more = 1000
	var k Keys[int, int]
	for n := range b.Keys + more {
		k.Add(n, n+1, 0, b)
	}
	if k.Len() != b.Keys || len(k.order)-k.head != b.Keys {
		t.Fatalf("%d keys, %d stamps", k.Len(), len(k.order)-k.head)
	}
	for _, n := range []int{0, 1, more - 1, more, more + 1, b.Keys, b.Keys + more - 1} {
		if v, ok := k.Get(n); ok != (n >= more) || ok && v != n+1 {
			t.Fatalf("key %d: %d, %v", n, v, ok)
		}
	}
}

func TestWindow(t *testing.T) {
	b := Bounds{Keys: 10, For: time.Minute}
	var k Keys[string, int]
	k.Add("a", 1, 0, b)
	k.Add("b", 2, time.Second, b)
	k.Prune(time.Minute, b)
	if _, ok := k.Get("a"); !ok {
		t.Error("forgotten at the end of the window")
	}
	k.Prune(time.Minute+1, b)
	if _, ok := k.Get("a"); ok || k.Len() != 1 {
		t.Error("remembered beyond the window")
	}
	k.Prune(time.Minute+time.Second+1, b)
	if k.of != nil || k.order != nil {
		t.Errorf("%d keys and %d stamps are left after the window", len(k.of), len(k.order))
	}
}
