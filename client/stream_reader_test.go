package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
)

func TestReader(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 1, 1, 10)
		ctx, one := r.Context(), r.client.Reader("numbers", 0, "")
		list, err := one.Fetch(ctx, 4, 0)
		r.must(err)
		if len(list) != 4 || list[3].Position != 4 || string(list[3].Event.Data) != "4" || list[3].Topic != "numbers" || one.Position() != 5 {
			r.Fatalf("%+v, then %d", list, one.Position())
		}
		one.Seek(10)
		list, err = one.Fetch(ctx, 4, 0)
		r.must(err)
		if len(list) != 1 || list[0].Position != 10 {
			r.Fatalf("%+v", list)
		}
		begun := time.Now()
		list, err = one.Fetch(ctx, 4, 10*time.Second)
		if err != nil || len(list) != 0 || time.Since(begun) != 10*time.Second {
			r.Fatalf("%v, %v after %v", list, err, time.Since(begun))
		}
		_, err = r.client.Reader("numbers", 1, "").Fetch(ctx, 1, 0)
		code(r.T, err, parley.NotFound)
		_, err = r.client.Reader("numbers", 0, "nowhere").Fetch(ctx, 1, 0)
		code(r.T, err, parley.BadCursor)
	})
}

// TestReaderLoop: what comes while connections are cut is given once, in order.
func TestReaderLoop(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 1, 1, 5)
		got := make(chan stream.Message, 100)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for m, err := range r.client.Reader("numbers", 0, "latest").Messages(r.life) {
				if err != nil {
					if r.life.Err() == nil {
						r.Errorf("the loop ended: %v", err)
					}
					close(got)
					return
				}
				got <- m
			}
		}()
		synctest.Wait()
		for n := 6; n < 40; n++ {
			r.cut()
			<-time.After(30 * time.Second) // or latest could be later
			r.fill("numbers", 1, n, n)
			if m := <-got; m.Position != parley.Position(n) {
				r.Errorf("%d came where %d was due", m.Position, n)
			}
		}
	})
}
