package grpcapi

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"pgregory.net/rapid"

	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

func TestPublishOnce(t *testing.T) {
	r := newRig(t, nil)
	in := &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{text("0"), text("1")}, IdempotencyKey: "k"}
	first, err := r.publish.Publish(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.publish.Publish(t.Context(), in)
	if err != nil || !again.GetReplayed() || again.GetEvents()[1].GetPosition() != first.GetEvents()[1].GetPosition() || again.GetEvents()[0].GetId() != first.GetEvents()[0].GetId() {
		t.Fatalf("%v, %v; the first time %v", again, err, first)
	}
	in.Events[0].Data = []byte("other")
	_, err = r.publish.Publish(t.Context(), in)
	taken(t, err).want(t, codes.AlreadyExists, "KEY_REUSED", "idempotency_key")
}

func TestPublishAll(t *testing.T) {
	r := newRig(t, nil)
	in := &parleyv1.PublishAllRequest{IdempotencyKey: "k", Topics: []*parleyv1.TopicEvents{
		{Topic: "orders", Events: []*parleyv1.Event{text("order")}},
		{Topic: "audit", Events: []*parleyv1.Event{text("audit 1"), text("audit 2")}},
	}}
	out, err := r.publish.PublishAll(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if e := out.GetEvents(); len(e) != 3 || e[0].GetTopic() != "orders" || e[2].GetTopic() != "audit" || e[2].GetPosition() != 2 {
		t.Fatalf("placed %v", e)
	}
	if again, err := r.publish.PublishAll(t.Context(), in); err != nil || !again.GetReplayed() {
		t.Fatalf("again: %v, %v", again, err)
	}
	rd := r.read(t.Context(), earliest("orders", "audit"))
	if got := rd.until(3); !slices.Contains(got, "order") || !slices.Contains(got, "audit 2") {
		t.Fatalf("got %v", got)
	}
}

func TestEventsCarryTheTrace(t *testing.T) {
	r := newRig(t, nil)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	own := text("own")
	own.Extensions = map[string]string{"traceparent": "00-11111111111111111111111111111111-b7ad6b7169203331-01"}
	if _, err := r.publish.Publish(ctx, &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{text("0"), own}}); err != nil {
		t.Fatal(err)
	}
	stream, err := r.subscribe.Subscribe(t.Context(), earliest("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // the opening
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	events := m.GetBatches()[0].GetEvents()
	if trace := events[0].GetEvent().GetExtensions()["traceparent"]; !strings.HasPrefix(trace, "00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("trace %q", trace)
	}
	if trace := events[1].GetEvent().GetExtensions()["traceparent"]; trace != own.GetExtensions()["traceparent"] {
		t.Errorf("its own trace became %q", trace)
	}
}

type publisher = grpc.BidiStreamingClient[parleyv1.PublishStreamRequest, parleyv1.PublishStreamResponse]

// answers reads answers until the stream ends.
func answers(s publisher) (map[uint64]*parleyv1.PublishStreamResponse, error) {
	all := map[uint64]*parleyv1.PublishStreamResponse{}
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all[m.GetRequest()] = m
	}
}

// Requests that share a key are stored in the order of the stream, whatever else
// is under way; each is answered once.
func TestPublishStreamKeepsTheOrderOfKeys(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Window = 32 })
	s, err := r.publish.PublishStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const n, keys = 1000, 5
	failed := make(chan error, 1)
	go func() {
		for i := range n {
			e := text(strconv.Itoa(i))
			if k := i % keys; k > 0 { // the others have none
				e.Extensions = map[string]string{"partitionkey": strconv.Itoa(k)}
			}
			if err := s.Send(&parleyv1.PublishStreamRequest{Request: uint64(i), Publish: &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{e}}}); err != nil {
				failed <- err
				return
			}
		}
		failed <- s.CloseSend()
	}()
	all, err := answers(s)
	if err != nil || len(all) != n {
		t.Fatalf("%d answers, %v", len(all), err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	var last [keys]int64
	for i := range n {
		placed := all[uint64(i)].GetPublished().GetEvents()
		if len(placed) != 1 {
			t.Fatalf("answer %d: %v", i, all[uint64(i)])
		}
		at := placed[0].GetPosition()
		if k := i % keys; k > 0 && at <= last[k] {
			t.Fatalf("request %d is at %d, an earlier one of its key at %d", i, at, last[k])
		} else {
			last[k] = at
		}
	}
}

func TestAFailedRequestDoesNotEndTheStream(t *testing.T) {
	r := newRig(t, nil)
	s, err := r.publish.PublishStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, in := range []*parleyv1.PublishRequest{
		{Topic: "a", Events: []*parleyv1.Event{text("0")}},
		{Topic: "a b", Events: []*parleyv1.Event{text("1")}},
		nil,
		{Topic: "a", Events: []*parleyv1.Event{text(strings.Repeat("x", 3<<20))}},
		{Topic: "a", Events: []*parleyv1.Event{text("4")}},
	} {
		if err := s.Send(&parleyv1.PublishStreamRequest{Request: uint64(i), Publish: in}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	all, err := answers(s)
	if err != nil || len(all) != 5 {
		t.Fatalf("%d answers, %v", len(all), err)
	}
	for i, want := range []string{"", "INVALID topic", "INVALID publish", "TOO_LARGE data", ""} {
		got := ""
		if f := all[uint64(i)].GetFailure(); f != nil {
			got = f.GetReason() + " " + f.GetField()
			if f.GetMessage() == "" || f.GetCode() == 0 {
				t.Errorf("request %d: %v", i, f)
			}
		}
		if got != want {
			t.Errorf("request %d: %q, want %q", i, got, want)
		}
	}
}

func TestPublishStreamTakesWhatIsLargerThanItsWindow(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Window = 2 })
	s, err := r.publish.PublishStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := range uint64(8) {
			_ = s.Send(&parleyv1.PublishStreamRequest{Request: i, Publish: &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{text(strings.Repeat("x", 500<<10))}}})
		}
		_ = s.CloseSend()
	}()
	if all, err := answers(s); err != nil || len(all) != 8 {
		t.Fatalf("%d answers, %v", len(all), err)
	}
}

func TestPublishStreamDrains(t *testing.T) {
	r := newRig(t, nil)
	s, err := r.publish.PublishStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&parleyv1.PublishStreamRequest{Request: 7, Publish: &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{text("0")}}}); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Recv(); err != nil || m.GetRequest() != 7 {
		t.Fatalf("%v, %v", m, err)
	}
	if err := r.lives.Drain(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	f := taken(t, err)
	if f.want(t, codes.Unavailable, "UNAVAILABLE", ""); !f.retry {
		t.Fatal("no word of when to come back")
	}
}

// Any sequence of requests over any lanes ends, in order on each lane.
func TestLanes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		masks := rapid.SliceOfN(rapid.Uint64Range(0, 1<<5-1), 0, 30).Draw(t, "masks")
		var l lanes
		finished := make([]chan struct{}, len(masks))
		ahead := make([][]<-chan struct{}, len(masks))
		for i, mask := range masks {
			finished[i] = make(chan struct{})
			ahead[i] = l.join(mask, finished[i])
		}
		left := map[int]bool{}
		for i := range masks {
			left[i] = true
		}
		for len(left) > 0 {
			var ready []int
			for i := range left {
				if !slices.ContainsFunc(ahead[i], func(c <-chan struct{}) bool {
					select {
					case <-c:
						return false
					default:
						return true
					}
				}) {
					ready = append(ready, i)
				}
			}
			if len(ready) == 0 {
				t.Fatalf("%d requests wait for each other", len(left))
			}
			slices.Sort(ready)
			i := ready[rand.N(len(ready))]
			for j := range i {
				if left[j] && masks[i]&masks[j] != 0 {
					t.Fatalf("%d passes %d, which shares a lane", i, j)
				}
			}
			close(finished[i])
			delete(left, i)
		}
	})
}
