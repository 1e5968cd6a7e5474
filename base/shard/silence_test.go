package shard

import (
	"fmt"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestSilence(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	type look struct {
		at       float64
		newest   parley.Position
		resigned bool
		want     string
	}
	for name, looks := range map[string][]look{
		"never written":     {{0, parley.Empty, false, "free"}},
		"a silent owner":    {{0, 7, false, "4s"}, {1, 7, false, "3s"}, {3.9, 7, false, "100ms"}, {4, 7, false, "free"}},
		"a beating owner":   {{0, 7, false, "4s"}, {1, 8, false, "4s"}, {4, 8, false, "1s"}, {4.5, 9, false, "4s"}},
		"a resigned owner":  {{0, 7, false, "4s"}, {1, 8, true, "free"}},
		"a successor comes": {{0, 8, true, "free"}, {1, 9, false, "4s"}},
		"a stale look":      {{0, 8, false, "4s"}, {1, 7, true, "3s"}},
	} {
		s := silence{after: 4 * time.Second}
		s.begin(start)
		for i, l := range looks {
			if l.newest != parley.Empty {
				s.saw(l.newest, l.resigned, at(l.at))
			}
			wait, free := s.free(at(l.at))
			got := fmt.Sprint(wait)
			if free {
				got = "free"
			}
			if got != l.want {
				t.Errorf("%s, look %d: %s, want %s", name, i, got, l.want)
			}
		}
	}
}
