package throttle

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestScripts runs testdata/*.txt: a command on each line and, after =>, what
// it answers.
//
//	limit TEXT        a new limiter, at 0s
//	at TIME           turn the clock
//	take KEY N        AllowN
//	peek KEY          Peek
//	refund KEY        give back the last take of KEY, then Peek
//	set TEXT          SetLimit
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := script{t: t}
			for i, line := range strings.Split(string(text), "\n") {
				line, _, _ = strings.Cut(line, "#")
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				command, want, _ := strings.Cut(line, " => ")
				if got := s.run(strings.Fields(command)); got != want {
					t.Errorf("%s:%d: %s\n got %s\nwant %s", file, i+1, command, got, want)
				}
			}
		})
	}
}

type script struct {
	t       *testing.T
	clock   *hand
	limiter *Limiter
	last    map[string]Decision
}

func (s *script) run(f []string) string {
	switch rest := strings.Join(f[1:], " "); f[0] {
	case "limit":
		s.clock, s.last = &hand{}, map[string]Decision{}
		s.limiter = mustNew(s.t, s.limit(rest), s.clock.options())
		return ""
	case "set":
		if err := s.limiter.SetLimit(s.limit(rest)); err != nil {
			s.t.Fatal(err)
		}
		return ""
	case "at":
		at, err := time.ParseDuration(rest)
		if err != nil {
			s.t.Fatal(err)
		}
		s.clock.ns.Store(int64(at))
		return ""
	case "take":
		n, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		d := s.limiter.AllowN(f[1], n)
		if d.OK {
			s.last[f[1]] = d
		}
		return answer(d)
	case "refund":
		s.limiter.Refund(f[1], s.last[f[1]])
		return answer(s.limiter.Peek(f[1]))
	case "peek":
		return answer(s.limiter.Peek(f[1]))
	}
	s.t.Fatalf("unknown command %q", f)
	return ""
}

func (s *script) limit(text string) Limit {
	l, err := ParseLimit(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func answer(d Decision) string {
	switch {
	case d.OK:
		return "ok " + units(d.Remaining)
	case d.Reason == Limited:
		return fmt.Sprint("limited ", d.RetryAfter)
	}
	return d.Reason.String()
}
