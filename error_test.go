package parley_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"testing"

	"github.com/parleyhq/parley"
)

// The table of codes is complete, in order, and its names are fit for a URL.
func TestCodes(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	names := map[string]bool{}
	for i, info := range parley.Codes() {
		c := parley.Code(i)
		if info.Code != c || c.Info() != info {
			t.Errorf("row %d is of code %d", i, info.Code)
		}
		if !kebab.MatchString(info.Name) || names[info.Name] {
			t.Errorf("code %d has the name %q", i, info.Name)
		}
		names[info.Name] = true
		if info.Title == "" || info.Meaning == "" || info.Meaning[len(info.Meaning)-1] != '.' {
			t.Errorf("code %s lacks words: %+v", info.Name, info)
		}
		if back, ok := parley.CodeNamed(info.Name); !ok || back != c || c.String() != info.Name {
			t.Errorf("%s is found as %s", info.Name, back)
		}
	}
	if _, ok := parley.CodeNamed("no-such-code"); ok {
		t.Error("a code that is none was found")
	}
	if got := parley.Code(255).String(); got != "internal" {
		t.Errorf("a code beyond the table is called %s", got)
	}
}

// Every constant has its row: the first beyond the table has none.
func TestCodesEnd(t *testing.T) {
	if got, want := len(parley.Codes()), int(parley.PreconditionFailed)+1; got != want {
		t.Errorf("%d rows for %d codes", got, want)
	}
}

func TestCodeOf(t *testing.T) {
	_, notExist := os.Open("/no/such/file")
	for _, c := range []struct {
		err  error
		want parley.Code
	}{
		{parley.Errorf(parley.Conflict, "x"), parley.Conflict},
		{fmt.Errorf("while: %w", parley.Errorf(parley.Trimmed, "x")), parley.Trimmed},
		{parley.Errorf(parley.Unknown, "x: %w", context.Canceled), parley.Unknown},
		{fmt.Errorf("while: %w", context.Canceled), parley.Canceled},
		{context.DeadlineExceeded, parley.Timeout},
		{os.ErrDeadlineExceeded, parley.Timeout},
		{io.EOF, parley.Internal},
		{notExist, parley.Internal},
		{nil, parley.Internal},
	} {
		if got := parley.CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) is %s, want %s", c.err, got, c.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  *parley.Error
		want string
	}{
		{&parley.Error{Code: parley.Full}, "full"},
		{parley.BadField("after", "is no cursor", "send one"), "invalid (after): is no cursor; send one"},
		{parley.Errorf(parley.Damaged, "gzip: %w", io.EOF), "damaged: gzip: EOF"},
		{&parley.Error{Code: parley.Internal, Detail: "writing", Err: io.EOF}, "internal: writing: EOF"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("error says %q, want %q", got, c.want)
		}
	}
}

func TestErrorIs(t *testing.T) {
	err := fmt.Errorf("while: %w", parley.Errorf(parley.Damaged, "gzip: %w", io.EOF))
	if !errors.Is(err, &parley.Error{Code: parley.Damaged}) || !errors.Is(err, io.EOF) {
		t.Error("the code or the cause is not found")
	}
	if errors.Is(err, &parley.Error{Code: parley.Full}) || errors.Is(err, &parley.Error{Code: parley.Damaged, Detail: "other"}) {
		t.Error("an error is taken for another")
	}
}

func TestAtIndex(t *testing.T) {
	original := parley.BadField("id", "is missing", "set it")
	at := parley.AtIndex(original, 3)
	refused(t, at, parley.Invalid, "events[3].id")
	if original.Field != "id" {
		t.Error("AtIndex changed its argument")
	}
	if parley.AtIndex(io.EOF, 3) != io.EOF {
		t.Error("an error that is not ours was changed")
	}
}
