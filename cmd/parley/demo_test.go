package main

import (
	"strings"
	"testing"
)

// TestDemo runs the whole demo: each of its steps checks what it shows, and fails if it
// is otherwise.
func TestDemo(t *testing.T) {
	r := invoke(t, "demo", "--stay=false")
	if r.code != exitOK || strings.Count(r.err, "\n") > 1 { // a line says that it is over; its server has nothing to say
		t.Fatalf("code %d: %s\n%s", r.code, r.err, r.out)
	}
	at := 0
	for _, step := range demoSteps() {
		i := strings.Index(r.out[at:], "\n"+step.title+"\n")
		if i < 0 {
			t.Fatalf("%q is not shown in its turn:\n%s", step.title, r.out)
		}
		at += i
	}
	for _, want := range []string{
		"dead  {\"cents\":\"a lot\",\"order\":\"order-x\"}, at the step big: ",
		`put   with "wher" instead of where is refused: line 4: `, "the pipe is still running",
	} {
		if !strings.Contains(r.out[at:], want) {
			t.Errorf("the step about pipes lacks %q:\n%s", want, r.out[at:])
		}
	}
}
