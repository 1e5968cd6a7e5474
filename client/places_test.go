package client_test

import (
	"testing"

	"github.com/parleyhq/parley/client"
)

func TestPlaces(t *testing.T) {
	for _, row := range []struct {
		name    string
		topics  []string
		streams int
		want    [3]string // behind an event of a/0, of b/0, of a/0
	}{
		{"a topic of one stream", []string{"a"}, 1, [3]string{"1", "2", "3"}},
		{"a topic of several", []string{"a"}, 2, [3]string{"0,1", "0,1,2", "0,3,2"}},
		{"a topic that is not there yet", []string{"a"}, 0, [3]string{"0,1", "0,1,2", "0,3,2"}},
		{"a pattern, which others may join", []string{"*"}, 1, [3]string{"0,1", "0,1,2", "0,3,2"}},
		{"two topics", []string{"a", "b"}, 1, [3]string{"0,1", "0,1,2", "0,3,2"}},
	} {
		var p client.Places
		p.Open("0", row.streams, row.topics)
		got := [3]string{p.After("a", 0, "1"), p.After("b", 0, "2"), p.After("a", 0, "3")}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}
