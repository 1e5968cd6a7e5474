package topic

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// TestOwners: who is silent keeps everything for a while, and not for ever; one that
// answers in between has its while anew; and one that does not answer in time does not
// keep the others from being asked.
func TestOwners(t *testing.T) { synctest.Test(t, testOwners) }

func testOwners(t *testing.T) {
	orders := parley.Stream{Name: "orders"}
	silent := errors.New("nobody owns it")
	var says error
	owners := []Owner{
		{"well", func(context.Context) ([]parley.Place, error) { return []parley.Place{{Stream: orders, At: 7}}, nil }},
		{"ill", func(context.Context) ([]parley.Place, error) {
			return []parley.Place{{Stream: orders, At: 3}}, says
		}},
		{"gone", func(context.Context) ([]parley.Place, error) { return nil, nil }},
	}
	var o Owners
	want := func(failed error, at ...parley.Position) {
		t.Helper()
		holds, err := o.Holds(t.Context(), owners)
		var got []parley.Position
		for _, h := range holds[orders] {
			got = append(got, h.At)
		}
		if !errors.Is(err, failed) || (err == nil) != (failed == nil) || !slices.Equal(got, at) {
			t.Fatalf("%v, %v; want %v, %v", got, err, at, failed)
		}
	}
	want(nil, 7, 3)
	says = silent
	want(silent, 7)
	<-time.After(OwnerForget - time.Second)
	want(silent, 7)
	says = nil
	want(nil, 7, 3)
	says = silent
	want(silent, 7)
	<-time.After(OwnerForget - time.Second)
	want(silent, 7)
	<-time.After(time.Second)
	want(nil, 7)

	owners = nil
	want(nil)
	for range 3 * ownersAtOnce { // never answers, and there are more than are asked at once
		owners = append(owners, Owner{"hung", func(ctx context.Context) ([]parley.Place, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	}
	start := time.Now()
	want(context.DeadlineExceeded)
	if took := time.Since(start); took != 3*ownerPatience {
		t.Errorf("took %v", took)
	}
}
