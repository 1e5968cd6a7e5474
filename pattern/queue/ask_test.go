package queue

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestRequestsToTheOwnerSurviveTheirEncoding(t *testing.T) {
	for _, r := range []request{
		{Op: "lease", Max: 64, Wait: 5 * time.Minute, Visibility: 30_000, Worker: "wörker \xff"},
		{Op: "lease", Max: 1},
		{Op: "settle", Settle: []settlement{{Lease: "a~1", Action: Ack}, {Lease: "", Action: Ack}}},
		{Op: "settle", Settle: []settlement{{Lease: "a~1", Action: Ack, Result: &Output{Data: []byte("x")}}, {Lease: "a~2", Action: Nack, Cause: "busy"}}},
		{Op: "peek", IDs: []int64{1, 2}},
	} {
		in, err := r.encode()
		var got request
		if err != nil || !got.decode(in) || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v became %+v (%q, %v)", r, got, in, err)
		}
	}
	lease, settle := &request{Op: "lease"}, &request{Op: "settle"}
	for _, c := range []struct {
		r *request
		a answer
	}{
		{lease, answer{Granted: []granted{{Token: "q~x", ID: 1, Place: 9, Priority: 3, Key: "k\xff", Attempt: 2, Until: 1e12, For: 30_000}, {Token: "q~y", ID: 2, Place: 2, Attempt: 1, Until: 1, For: 1}}}},
		{lease, answer{Granted: []granted{}}},
		{settle, answer{Problems: make([]*problem, 3)}},
		{settle, answer{Problems: []*problem{nil, problemOf(parley.Errorf(parley.Conflict, "over"))}}},
	} {
		in, err := c.a.encode(c.r)
		var got answer
		if err != nil || !got.decode(in) || !reflect.DeepEqual(got, c.a) {
			t.Errorf("%+v became %+v (%q, %v)", c.a, got, in, err)
		}
	}
}

// What a node of another version, or nobody, has sent is refused or understood, and
// what is understood survives being sent on.
func FuzzAsk(f *testing.F) {
	for _, r := range []request{{Op: "lease", Max: 3, Worker: "w"}, {Op: "settle", Settle: []settlement{{Lease: "q~x", Action: Ack}}}} {
		in, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(in)
	}
	f.Add([]byte{1, 2, 1, 'q', 1, 1, 0, 0, 1, 1, 1})
	f.Add([]byte(`{"op":"lease","max":1}`))
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, in []byte) {
		var r, again request
		if r.decode(in) {
			out, err := r.encode()
			if err != nil || !again.decode(out) {
				t.Fatalf("%q is understood as %+v, and not again: %v", in, r, err)
			}
			if second, _ := again.encode(); !bytes.Equal(second, out) {
				t.Fatalf("%q becomes %q", out, second)
			}
		}
		var a, b answer
		if a.decode(in) && len(in) > 0 && in[0] == hotLease {
			out, err := a.encode(&request{Op: "lease"})
			if err != nil || !b.decode(out) || !reflect.DeepEqual(a, b) {
				t.Fatalf("%+v becomes %+v: %v", a, b, err)
			}
		}
	})
}
