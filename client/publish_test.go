package client_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

func TestAKeyPublishesOnce(t *testing.T) { synctest.Test(t, testAKeyPublishesOnce) }

func testAKeyPublishesOnce(t *testing.T) {
	c, _ := serve(t)
	first, replayed, err := c.PublishOnce(t.Context(), "k", "numbers", numbered(1, 3)...)
	if err != nil || replayed || len(first) != 3 {
		t.Fatalf("%+v, %t, %v", first, replayed, err)
	}
	again, replayed, err := c.PublishOnce(t.Context(), "k", "numbers", numbered(1, 3)...)
	if err != nil || !replayed || !slices.Equal(first, again) {
		t.Errorf("%+v, %t, %v, want %+v", again, replayed, err, first)
	}
	if _, _, err = c.PublishOnce(t.Context(), "k", "numbers", numbered(1, 4)...); parley.CodeOf(err) != parley.KeyReused {
		t.Errorf("other events under the key: %v", err)
	}
	both := []client.TopicEvents{{Topic: "a", Events: numbered(1, 2)}, {Topic: "b", Events: numbered(3, 3)}}
	first, _, err = c.PublishAllOnce(t.Context(), "k", both...)
	if err != nil {
		t.Fatal(err)
	}
	again, replayed, err = c.PublishAllOnce(t.Context(), "k", both...)
	if err != nil || !replayed || !slices.Equal(first, again) {
		t.Errorf("%+v, %t, %v, want %+v", again, replayed, err, first)
	}
}

func TestAnIDPublishesOnce(t *testing.T) { synctest.Test(t, testAnIDPublishesOnce) }

func testAnIDPublishesOnce(t *testing.T) {
	c, _ := serve(t)
	events := numbered(1, 1)
	events[0].ID = "mine"
	var places []parley.Position
	for range 2 {
		placed, err := c.Publish(t.Context(), "numbers", events...)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, placed[0].Position)
	}
	if places[0] != places[1] {
		t.Errorf("one event is at %v", places)
	}
	events[0].ID = ""
	for range 2 { // without an id of its own, each is new
		placed, err := c.Publish(t.Context(), "numbers", events...)
		if err != nil || slices.Contains(places, placed[0].Position) {
			t.Errorf("%+v, %v after %v", placed, err, places)
			continue
		}
		places = append(places, placed[0].Position)
	}
	if events[0].ID != "" {
		t.Error("the caller's event was given an id")
	}
}

// TestABadTopicIsNamed publishes to what no topic can be called: the error is about
// that, and not about what the client has made of it.
func TestABadTopicIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := serve(t)
		for _, name := range []string{"a b", "é", "a%zz", "a\x01"} {
			_, err := c.Publish(t.Context(), name, parley.Event{Data: []byte("1")})
			var e *parley.Error
			if !errors.As(err, &e) || e.Field != "topic" {
				t.Errorf("%q: %v, want an error of the topic", name, err)
			}
		}
	})
}
