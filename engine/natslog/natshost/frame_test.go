package natshost

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestRequestFrame(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	patience, request, ok := decodeRequest(encodeRequest(ctx, []byte("hello")))
	if !ok || string(request) != "hello" || patience < 59*time.Second || patience > time.Minute {
		t.Errorf("decodes as %q for %s, %v", request, patience, ok)
	}
	if patience, _, ok := decodeRequest(encodeRequest(t.Context(), nil)); !ok || patience != 0 {
		t.Errorf("a request without a deadline waits %s, %v", patience, ok)
	}
	if _, _, ok := decodeRequest(nil); ok {
		t.Error("nothing is a request")
	}
}

func TestAnswerFrame(t *testing.T) {
	if _, answer, err := decodeAnswer(encodeAnswer([]byte("yes"))); err != nil || string(answer) != "yes" {
		t.Errorf("%q, %v", answer, err)
	}
	if ticket, _, err := decodeAnswer(encodeTicket(77)); err != nil || ticket != "25" {
		t.Errorf("%q, %v", ticket, err)
	}
	sent := &parley.Error{Code: parley.Trimmed, Field: "at", Detail: "gone", Fix: "later", RetryAfter: time.Second, Earliest: 9}
	_, _, err := decodeAnswer(encodeError(sent))
	var got *parley.Error
	if !errors.As(err, &got) || *got != *sent {
		t.Errorf("%+v became %+v", sent, err)
	}
	for _, b := range []string{"", "z", "t", "t-", "e", "e{}", `e{"code":"no-such"}`} {
		if _, _, err := decodeAnswer([]byte(b)); parley.CodeOf(err) != parley.Unknown || err == nil {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("a"))
	f.Add(encodeTicket(5))
	f.Add(encodeError(&parley.Error{Code: parley.Full, Detail: "x"}))
	f.Add(encodeRequest(context.Background(), []byte("r")))
	f.Fuzz(func(t *testing.T, b []byte) {
		ticket, answer, err := decodeAnswer(b)
		if err == nil && (ticket == "") == (len(b) == 0 || b[0] != answered) {
			t.Errorf("%q is ticket %q and answer %q", b, ticket, answer)
		}
		if patience, request, ok := decodeRequest(b); ok && (patience < 0 || patience > longest || len(request) > len(b)) {
			t.Errorf("%q waits %s for %q", b, patience, request)
		}
	})
}
