package main

import (
	"fmt"
	"strings"
	"time"
)

// progress shows how far a long job is, on a terminal only.
type progress struct {
	app   *app
	on    bool
	size  int64 // 0 = unknown
	start time.Time
	shown time.Time
}

func (a *app) progress(size int64) *progress {
	return &progress{app: a, on: isTerminal(a.err) && !a.json, size: size, start: time.Now()}
}

// step shows the progress of a job that is counted in events.
func (p *progress) step(read int64, events int) {
	p.show(read, func(seconds float64) string { return fmt.Sprintf("%d events, %.0f/s", events, float64(events)/seconds) })
}

// stepBytes shows the progress of a job that is counted in bytes.
func (p *progress) stepBytes(read int64) {
	p.show(read, func(seconds float64) string {
		return bytesText(read) + ", " + bytesText(int64(float64(read)/seconds)) + "/s"
	})
}

// show shows the progress, at most ten times a second.
func (p *progress) show(read int64, text func(seconds float64) string) {
	now := time.Now()
	if !p.on || now.Sub(p.shown) < 100*time.Millisecond || now.Sub(p.start) < 500*time.Millisecond {
		return
	}
	p.shown = now
	done := text(now.Sub(p.start).Seconds())
	if p.size == 0 {
		p.app.say("\r\x1b[K%s", done)
		return
	}
	const width = 30
	part := min(float64(read)/float64(p.size), 1)
	full := int(part * width)
	p.app.say("\r\x1b[K[%s%s] %3.0f %%  %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), part*100, done)
}

// done takes the progress away.
func (p *progress) done() {
	if p.on && !p.shown.IsZero() {
		p.app.say("\r\x1b[K")
	}
}

// count gives a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
