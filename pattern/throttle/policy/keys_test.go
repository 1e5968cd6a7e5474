package policy

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/outage"
)

func view(t *testing.T, r *Registry, name string, by Order) View {
	t.Helper()
	v, err := r.Keys(t.Context(), name, DefaultTop, by)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func names(v View) (all []string) {
	for _, k := range v.Top {
		all = append(all, k.Key)
	}
	return all
}

func TestKeysShowWhatALimitDoes(t *testing.T) {
	r := load(t, newLog(), Options{})
	put(t, r, "api", Definition{Limit: "sliding-log 4/1h"})
	check := func(key string, cost int64, times int) {
		for range times {
			if _, err := r.Check(t.Context(), "api", Check{Key: key, Cost: cost}); err != nil {
				t.Fatal(err)
			}
		}
	}
	check("ann", 1, 1)
	check("bob", 3, 1)
	check("cyd", 4, 2) // the second is refused
	check("dan", 2, 4) // the last two are
	v := view(t, r, "api", ByRefused)
	if got := names(v); !reflect.DeepEqual(got, []string{"dan", "cyd", "bob", "ann"}) {
		t.Errorf("by refused: %v", got)
	}
	if got := names(view(t, r, "api", BySpent)); !reflect.DeepEqual(got, []string{"dan", "cyd", "bob", "ann"}) {
		t.Errorf("by spent: %v", got)
	}
	if v.Keys != 4 || v.Counts != (Counts{Allowed: 5, Rejected: 3}) || v.Since.IsZero() {
		t.Errorf("%+v", v.Info)
	}
	if bob := v.Top[2]; *bob.Spent != 3 || *bob.Remaining != 1 || bob.Counts != (Counts{Allowed: 1}) || bob.Free < 3599 || bob.Reset < 3599 {
		t.Errorf("%+v", bob)
	}
	if one, err := r.Keys(t.Context(), "api", 1, ByRefused); err != nil || len(one.Top) != 1 {
		t.Errorf("%+v %v", one, err)
	}
	r.table.Load().all["api"].limiter.Forget("dan")
	if got := names(view(t, r, "api", BySpent)); got[3] != "dan" {
		t.Errorf("by spent, when dan is free: %v", got)
	}
	put(t, r, "api", Definition{Limit: "sliding-log 5/1h"})
	if got := view(t, r, "api", ByRefused); got.Counts != v.Counts || !got.Since.Equal(v.Since) {
		t.Errorf("after a change: %+v", got.Info)
	}
	put(t, r, "api", Definition{Limit: "sliding-log 5/1h", Key: "token"})
	if got := view(t, r, "api", ByRefused); got.Counts != (Counts{}) || len(got.Top) != 0 {
		t.Errorf("after it counts by something else: %+v", got)
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	r := load(t, newLog(), Options{})
	put(t, r, "api", Definition{Limit: "5/1h"})
	for _, c := range []struct {
		name, field string
		top         int
		by          Order
		code        parley.Code
	}{
		{"none", "limit", 1, ByRefused, parley.NotFound},
		{"api", "top", 0, ByRefused, parley.Invalid},
		{"api", "top", MaxTop + 1, ByRefused, parley.Invalid},
		{"api", "by", 1, "name", parley.Invalid},
	} {
		_, err := r.Keys(t.Context(), c.name, c.top, c.by)
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Field != c.field || e.Fix == "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestKeysOfRequestsAreShown looks at keys of several parts, and at what must not be
// seen.
func TestKeysOfRequestsAreShown(t *testing.T) {
	header := func(name string) []string {
		return map[string][]string{"X-Api-Key": {"geheim"}, "X-Tenant": {"a:b"}}[name]
	}
	for _, c := range []struct {
		key   string
		want  string
		parts []string
	}{
		{"ip", "192.0.2.1", nil},
		{"everyone", "", nil},
		{"ip+topic", "9:192.0.2.16:orders", []string{"192.0.2.1", "orders"}},
		{"header:X-Tenant", "a:b", nil},
		{"header:X-Api-Key", "sha256:addb0f5e7826", nil},
		{"token+header:X-Api-Key", "0:19:sha256:addb0f5e7826", []string{"", "sha256:addb0f5e7826"}},
		{"header:X-Missing-Key", "", nil},
	} {
		r := load(t, newLog(), Options{})
		put(t, r, "l", Definition{Limit: "1/1h", Key: c.key, On: []string{"publish"}})
		admit(t, r, Request{Action: Publish, Topics: []string{"orders"}, Remote: "192.0.2.1:99", Header: header})
		v := view(t, r, "l", ByRefused)
		if len(v.Top) != 1 || v.Top[0].Key != c.want || !reflect.DeepEqual(v.Top[0].Parts, c.parts) {
			t.Errorf("%s: %+v", c.key, v.Top)
		}
		if strings.Contains(fmt.Sprintf("%+v", v), "geheim") {
			t.Errorf("%s shows a secret", c.key)
		}
	}
}

func TestAKeyOfACheckIsShownAsItIs(t *testing.T) {
	r := load(t, newLog(), Options{})
	put(t, r, "l", Definition{Limit: "9/1h", Key: "ip+topic"})
	for _, key := range []string{"ann", "3:x", "1:a1:b2:cd", "-1:a0:", "no UTF-8: \xff"} {
		if _, err := r.Check(t.Context(), "l", Check{Key: key, Cost: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range view(t, r, "l", ByRefused).Top {
		if len(k.Parts) != 0 || strings.Contains(k.Key, "\xff") {
			t.Errorf("%+v", k)
		}
	}
}

func TestKeysInLineAndInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := load(t, newLog(), Options{})
		put(t, r, "line", Definition{Limit: "leaky-queue 1/1s", Key: "everyone", On: []string{"publish"}, Action: Shape})
		put(t, r, "club", Definition{Limit: "concurrency 2", Key: "everyone", On: []string{"poll"}})
		put(t, r, "dry", Definition{Limit: "sliding-log 1/1h", Key: "everyone", On: []string{"publish"}, Mode: Shadow})
		var work sync.WaitGroup
		for range 3 {
			work.Go(func() { admit(t, r, Request{Action: Publish}) })
		}
		synctest.Wait()
		if k := view(t, r, "line", ByRefused).Top[0]; k.Waiting != 2 || *k.Remaining != 0 || k.Reset != 1 {
			t.Errorf("in line: %+v", k)
		}
		work.Wait()
		if v := view(t, r, "line", ByRefused); v.Counts != (Counts{Allowed: 1, Shaped: 2}) || v.Top[0].Waiting != 0 {
			t.Errorf("afterwards: %+v", v)
		}
		if v := view(t, r, "dry", ByRefused); v.Counts != (Counts{Allowed: 1, WouldReject: 2}) {
			t.Errorf("a shadow: %+v", v.Counts)
		}
		release, err := r.Admit(t.Context(), &Request{Action: Poll})
		if err != nil {
			t.Fatal(err)
		}
		if k := view(t, r, "club", BySpent).Top[0]; *k.Spent != 1 || *k.Remaining != 1 || k.Free != 0 {
			t.Errorf("one inside: %+v", k)
		}
		release()
		if k := view(t, r, "club", BySpent).Top[0]; *k.Spent != 0 || *k.Remaining != 2 {
			t.Errorf("nobody inside: %+v", k)
		}
	})
}

func TestALimitOfNoneHasNoUnits(t *testing.T) {
	r := load(t, newLog(), Options{Now: func() time.Time { return time.Unix(1, 0) }})
	put(t, r, "free", Definition{Limit: "inf/1s"})
	put(t, r, "shut", Definition{Limit: "0/1s"})
	for _, name := range []string{"free", "shut"} {
		if _, err := r.Check(t.Context(), name, Check{Key: "k", Cost: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if k := view(t, r, "free", BySpent).Top[0]; k.Spent != nil || k.Remaining != nil {
		t.Errorf("%+v", k)
	}
	if v := view(t, r, "shut", BySpent); *v.Top[0].Remaining != 0 || v.Counts.Rejected != 1 || !v.Since.Equal(time.Unix(1, 0)) {
		t.Errorf("%+v", v)
	}
}

// TestKeysOfASharedLimit has another node spend, and the counts away for a while.
func TestKeysOfASharedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{}
		for _, policy := range []outage.Policy{outage.Local, outage.Closed} {
			log := newLog()
			here := load(t, log, Options{Sharing: Sharing{Open: b.open, Outage: policy}})
			put(t, here, string(policy), Definition{Limit: "gcra 5/5s burst=5"})
			there := load(t, log, Options{Sharing: Sharing{Open: b.open, Outage: policy}})
			for _, r := range []*Registry{here, there} {
				if _, err := r.Check(t.Context(), string(policy), Check{Key: "ann", Cost: 2}); err != nil {
					t.Fatal(err)
				}
			}
			v := view(t, here, string(policy), BySpent)
			if k := v.Top[0]; !v.Shared || *k.Spent != 4 || *k.Remaining != 1 || k.Reset != 1 || k.Free != 4 || k.Counts.Allowed != 1 {
				t.Errorf("%+v", v)
			}
			b.set(&parley.Error{Code: parley.Unavailable}, false)
			k := view(t, here, string(policy), BySpent).Top[0]
			if local := policy == outage.Local; (k.Spent != nil) != local || local && *k.Spent != 0 {
				t.Errorf("while the counts are away, %s: %+v", policy, k)
			}
			b.set(nil, false)
			pause(t.Context(), time.Second)
		}
	})
}

// TestKeysInASharedLine counts those who wait for the counter of all nodes.
func TestKeysInASharedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{}
		r := load(t, newLog(), Options{Sharing: Sharing{Open: b.open}})
		put(t, r, "line", Definition{Limit: "gcra 1/1s burst=1", Key: "everyone", On: []string{"publish"}, Action: Shape})
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() { admit(t, r, Request{Action: Publish}) })
		}
		synctest.Wait()
		if v := view(t, r, "line", ByRefused); v.Waiting != 2 || len(v.Top) != 1 || v.Top[0].Waiting != 2 || *v.Top[0].Spent != 1 {
			t.Errorf("%+v", v)
		}
		work.Wait()
	})
}
