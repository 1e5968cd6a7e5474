package local

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// parts is a reader that gives what it has in parts.
type parts struct {
	text string
	size func() int
	end  error
}

func (p *parts) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, p.end
	}
	n := copy(b, p.text[:min(p.size(), len(p.text))])
	p.text = p.text[n:]
	return n, nil
}

// All lines are given once, whole and in order, however they come, and a last one that
// is not ended only when there is no more.
func TestBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(0, 8).Draw(t, "lines") {
			n := rapid.SampledFrom([]int{0, 1, 7, 100, readBytes - 1, readBytes, 2*readBytes + 3}).Draw(t, "length")
			text.WriteString(strings.Repeat("x", n) + "\n")
		}
		text.WriteString(strings.Repeat("\n", rapid.SampledFrom([]int{0, 0, mostLines, 3*mostLines + 1}).Draw(t, "empty")))
		text.WriteString(rapid.SampledFrom([]string{"", "last"}).Draw(t, "last"))
		end := rapid.SampledFrom([]error{io.EOF, errors.New("broken")}).Draw(t, "end")
		sizes := rapid.SampledFrom([]int{0, 1, 500, 5000, 1 << 20})
		one := sizes.Draw(t, "size")
		if one == 1 && text.Len() > 10_000 {
			one = 500 // byte by byte it takes long
		}
		s := &lines{source: "/in", in: io.NopCloser(&parts{text.String(), func() int { return max(one, 0) }, end})}
		if one == 0 && text.Len() > 0 {
			if _, err := s.block(t.Context()); !errors.Is(err, io.ErrNoProgress) {
				t.Fatal(err)
			}
			return
		}
		var got strings.Builder
		n := 1
		for {
			block, err := s.block(t.Context())
			if err != nil {
				if !errors.Is(err, end) {
					t.Fatal(err)
				}
				break
			}
			count := strings.Count(string(block.Text), "\n")
			if block.First != n || count > mostLines || len(block.Text) == 0 {
				t.Fatalf("from %d, want %d: %d lines, %d bytes", block.First, n, count, len(block.Text))
			}
			got.Write(block.Text)
			n += count
		}
		want := text.String()
		if end != io.EOF {
			want = strings.TrimSuffix(want, "last")
		}
		if got.String() != want {
			t.Fatalf("%d bytes, want %d", got.Len(), len(want))
		}
	})
}

// The longest line is taken, and one that is longer refused by its number, after those
// before it.
func TestLongLines(t *testing.T) {
	for more, want := range map[int]parley.Code{0: 0, 1: parley.TooLarge} {
		s := &lines{source: "/in", in: io.NopCloser(strings.NewReader("a\n" + strings.Repeat("x", maxLine+more) + "\nb\n"))}
		var got []string
		var err error
		for err == nil {
			var events []parley.Event
			events, err = s.Next(t.Context())
			for _, e := range events {
				got = append(got, e.ID+" "+strconv.Itoa(len(e.Data)))
			}
		}
		if want != 0 {
			if parley.CodeOf(err) != want || !strings.Contains(err.Error(), "line 2 of /in") || strings.Join(got, ", ") != "line-1 1" {
				t.Error(err, got)
			}
		} else if strings.Join(got, ", ") != "line-1 1, line-2 8388608, line-3 1" || !errors.Is(err, io.EOF) {
			t.Error(err, got)
		}
	}
}

// An event that cannot be read comes after those before it, with the number of its line.
func TestLinesOfEvents(t *testing.T) {
	s := &lines{format: "cloudevents", source: "/in", in: io.NopCloser(strings.NewReader(`{"id":"a","type":"t","source":"/"}` + "\n\n" + `{"id":` + "\n"))}
	events, err := s.Next(t.Context())
	if len(events) != 1 || events[0].ID != "a" || err == nil || !strings.Contains(err.Error(), "line 3 of /in") {
		t.Error(events, err)
	}
}
