package grpcapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley/pattern/pubsub"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
	"github.com/parleyhq/parley/wire/httpapi"
)

func TestSubscribeFromTheLogAndLive(t *testing.T) {
	r := newRig(t, nil)
	placed := r.send("orders", "0", "1", "2")
	if p := placed.GetEvents()[2]; p.GetTopic() != "orders" || p.GetPosition() < 3 || p.GetId() == "" || placed.GetReplayed() {
		t.Fatalf("placed: %v", placed)
	}
	rd := r.read(t.Context(), earliest("orders"))
	rd.until(3)
	r.send("orders", "3")
	if got := rd.until(4); !slices.Equal(got, numbers(0, 4)) {
		t.Fatalf("got %v", got)
	}
	again := r.read(t.Context(), after(rd.cursor, "orders"))
	r.send("orders", "4")
	if got := again.until(1); !slices.Equal(got, []string{"4"}) || len(again.notices) != 0 {
		t.Fatalf("resumed: %v, notices %v", got, again.notices)
	}
}

func TestEventsComeWhole(t *testing.T) {
	r := newRig(t, nil)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	sent := &parleyv1.Event{
		Id: "1", Source: "/shop", Type: "order", Subject: "s", Time: timestamppb.New(at), Datacontenttype: "application/json",
		Dataschema: "https://example.com/s", Extensions: map[string]string{"partitionkey": "k", "tenant": "ü"}, Data: []byte("{}"),
	}
	none := &parleyv1.Event{Id: "2", Source: "/shop", Type: "order", Time: timestamppb.New(at)}
	empty := &parleyv1.Event{Id: "3", Source: "/shop", Type: "order", Time: timestamppb.New(at), Data: []byte{}}
	if _, err := r.publish.Publish(t.Context(), &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{sent, none, empty}}); err != nil {
		t.Fatal(err)
	}
	stream, err := r.subscribe.Subscribe(t.Context(), earliest("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); err != nil { // the opening
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []*parleyv1.Event{sent, none, empty} {
		if got := m.GetBatches()[0].GetEvents()[i]; !proto.Equal(got.GetEvent(), want) || got.GetPosition() != int64(i+1) {
			t.Errorf("got %v, want %v at %d", got, want, i+1)
		}
	}
}

// A cursor of a poll resumes a gRPC subscription, and the other way round.
func TestOneCursorForHTTPAndGRPC(t *testing.T) {
	r := newRig(t, nil)
	web, err := httpapi.New(httpapi.Options{Topics: r.topics, Hub: r.hub, Lives: r.lives, Context: t.Context()})
	if err != nil {
		t.Fatal(err)
	}
	poll := func(after string) (data []string, cursor string) {
		t.Helper()
		w := httptest.NewRecorder()
		web.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/topics/orders/events?limit=2&after="+url.QueryEscape(after), nil))
		var page struct {
			Events []struct{ Data string }
			Cursor string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, e := range page.Events {
			data = append(data, e.Data)
		}
		return data, page.Cursor
	}
	for _, n := range numbers(0, 4) {
		r.send("orders", n)
	}
	first, cursor := poll("earliest")
	if !slices.Equal(first, numbers(0, 2)) {
		t.Fatalf("polled %v", first)
	}
	rd := r.read(t.Context(), after(cursor, "orders"))
	if got := rd.until(2); !slices.Equal(got, numbers(2, 4)) {
		t.Fatalf("subscribed %v", got)
	}
	r.send("orders", "4")
	rest, end := poll(rd.cursor)
	if !slices.Equal(rest, numbers(4, 5)) {
		t.Fatalf("polled %v after the subscription", rest)
	}
	rd.until(3)
	if rd.cursor != end {
		t.Fatalf("the cursors differ: %s by gRPC, %s by HTTP", rd.cursor, end)
	}
}

func TestPlacesToBegin(t *testing.T) {
	r := newRig(t, nil)
	r.send("a", "old")
	for name, from := range map[string]*parleyv1.SubscribeRequest{
		"absent": {Topics: []string{"a"}},
		"latest": {Topics: []string{"a"}, From: &parleyv1.SubscribeRequest_Edge{Edge: parleyv1.Edge_EDGE_LATEST}},
		"time":   {Topics: []string{"a"}, From: &parleyv1.SubscribeRequest_Time{Time: timestamppb.New(time.Now().Add(time.Hour))}},
	} {
		rd := r.read(t.Context(), from)
		r.send("a", name)
		if got := rd.until(1); got[0] != name {
			t.Errorf("%s: %v", name, got)
		}
	}
	past := r.read(t.Context(), &parleyv1.SubscribeRequest{Topics: []string{"a"}, From: &parleyv1.SubscribeRequest_Time{Time: timestamppb.New(time.Now().Add(-time.Hour))}})
	if got := past.until(4); got[0] != "old" {
		t.Errorf("from the past: %v", got)
	}
}

func TestPatternsAndEphemeral(t *testing.T) {
	r := newRig(t, nil)
	r.send("shop.a", "0")
	in := earliest("shop.*")
	in.Ephemeral = true
	rd := r.read(t.Context(), in)
	rd.until(1)
	r.send("shop.b", "1") // a topic that is new
	rd.until(2)
	stored := rd.cursor
	if _, err := r.publish.Publish(t.Context(), &parleyv1.PublishRequest{Topic: "shop.a", Events: []*parleyv1.Event{text("2")}, Ephemeral: true}); err != nil {
		t.Fatal(err)
	}
	m, err := rd.stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	b := m.GetBatches()[0]
	if b.GetTopic() != "~shop.a" || !b.GetEphemeral() || string(b.GetEvents()[0].GetEvent().GetData()) != "2" {
		t.Fatalf("got %v", b)
	}
	if m.GetCursor() != stored {
		t.Fatal("an ephemeral event moved the cursor")
	}
}

func TestABadCursorIsTold(t *testing.T) {
	r := newRig(t, nil)
	r.send("a", "0")
	rd := r.read(t.Context(), after("garbage", "a"))
	if len(rd.notices) != 1 || rd.notices[0].GetKind() != parleyv1.NoticeKind_NOTICE_KIND_RESET || rd.notices[0].GetTopic() != "a" {
		t.Fatalf("notices %v", rd.notices)
	}
	strict := after("garbage", "a")
	strict.Strict = true
	stream, err := r.subscribe.Subscribe(t.Context(), strict)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if f := taken(t, err); f.code != codes.InvalidArgument || f.reason != "BAD_CURSOR" {
		t.Fatalf("strict: %+v", f)
	}
}

func TestAGapIsTold(t *testing.T) {
	r := newRig(t, nil)
	r.send("a", "0")
	r.send("a", "1")
	r.send("a", "2")
	begin := r.read(t.Context(), earliest("a")).cursor
	tp, err := r.topics.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.log.Trim(t.Context(), tp.Partitions[0].Stream, 3); err != nil {
		t.Fatal(err)
	}
	rd := r.read(t.Context(), after(begin, "a"))
	if got := rd.until(1); len(rd.notices) != 1 || !slices.Equal(got, []string{"2"}) {
		t.Fatalf("events %v, notices %v", got, rd.notices)
	}
	if n := rd.notices[0]; n.GetKind() != parleyv1.NoticeKind_NOTICE_KIND_GAP || n.GetTopic() != "a" || n.GetFrom() != 1 || n.GetTo() != 3 {
		t.Fatalf("notice %v", n)
	}
	strict := after(begin, "a")
	strict.Strict = true
	stream, err := r.subscribe.Subscribe(t.Context(), strict)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	taken(t, err).want(t, codes.OutOfRange, "TRIMMED", "from")
}

// A delivery that is larger than a message is sent in several; the cursor of each
// resumes right behind it.
func TestLargeDeliveriesAreCut(t *testing.T) {
	r := newRig(t, nil)
	in := &parleyv1.PublishRequest{Topic: "a"}
	for i := range 40 {
		in.Events = append(in.Events, text(strconv.Itoa(i)+strings.Repeat(".", 100<<10)))
	}
	if _, err := r.publish.Publish(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	rd := r.read(t.Context(), earliest("a"))
	for len(rd.data) < 40 {
		if err := rd.next(); err != nil {
			t.Fatal(err)
		}
		seen := len(rd.data)
		if seen == 40 {
			break
		}
		again := r.read(t.Context(), after(rd.cursor, "a"))
		if got := again.until(1)[0]; !strings.HasPrefix(got, strconv.Itoa(seen)+".") {
			t.Fatalf("resumed behind %d events with %.4q", seen, got)
		}
	}
	if len(rd.sizes) < 5 || slices.Max(rd.sizes) > messageBytes/(100<<10) {
		t.Fatalf("events in each message: %v", rd.sizes)
	}
}

// A client that does not read costs the others nothing, and misses nothing.
func TestASlowClientLags(t *testing.T) {
	r := newRig(t, nil)
	slow := r.read(t.Context(), earliest("a"))
	quick := r.read(t.Context(), earliest("a"))
	const n = 200
	pad := strings.Repeat(".", 100<<10) // 20 MB in all: more than any buffer on the way
	for i := range n {
		r.send("a", strconv.Itoa(i)+pad)
	}
	for _, rd := range []*reader{quick, slow} {
		for i, data := range rd.until(n) {
			if !strings.HasPrefix(data, strconv.Itoa(i)+".") {
				t.Fatalf("event %d begins with %.4q", i, data)
			}
		}
	}
}

func TestDrain(t *testing.T) {
	r := newRig(t, nil)
	r.send("a", "0")
	rd := r.read(t.Context(), earliest("a"))
	rd.until(1)
	if err := r.lives.Drain(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	f := taken(t, rd.end())
	f.want(t, codes.Unavailable, "UNAVAILABLE", "")
	if !f.retry || f.meta["cursor"] != rd.cursor || rd.cursor == "" {
		t.Fatalf("retry %t, cursor %q; the last message had %q", f.retry, f.meta["cursor"], rd.cursor)
	}
}

func TestADeletedTopicEndsItsSubscriptions(t *testing.T) {
	r := newRig(t, nil)
	r.send("a", "0")
	rd := r.read(t.Context(), earliest("a"))
	rd.until(1)
	if _, err := r.manage.DeleteTopic(t.Context(), &parleyv1.DeleteTopicRequest{Topic: "a"}); err != nil {
		t.Fatal(err)
	}
	taken(t, rd.end()).want(t, codes.NotFound, "NOT_FOUND", "topic")
}

// sent is a grpc.ServerStream that keeps what is sent.
type sent struct {
	grpc.ServerStream
	last *encoded
}

func (s *sent) SendMsg(m any) error { s.last = m.(*encoded); return nil }

type waker chan struct{}

func (w waker) Wake() { close(w) }

// Two subscribers get the same bytes, not equal ones.
func TestEventsAreEncodedOnce(t *testing.T) {
	r := newRig(t, nil)
	r.send("a", "before")
	var subs []*pubsub.Subscription
	var woken []waker
	for range 2 {
		sub, err := r.hub.Subscribe(t.Context(), pubsub.Request{Topics: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		w := make(waker)
		for !sub.Park(w) {
			if d, err := sub.Fetch(t.Context(), 1); err != nil || !d.Empty() {
				t.Fatalf("%v, %d events", err, d.Len())
			}
		}
		subs, woken = append(subs, sub), append(woken, w)
	}
	r.send("a", "shared")
	var at []*byte
	for i, sub := range subs {
		<-woken[i]
		d, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var s sent
		if err := (&reading{stream: &s, sub: sub}).deliver(&d); err != nil {
			t.Fatal(err)
		}
		if parts := s.last.parts; len(parts) != 3 || !strings.Contains(string(parts[1].ReadOnlyData()), "shared") {
			t.Fatalf("%d parts", len(parts))
		}
		at = append(at, &s.last.parts[1].ReadOnlyData()[0])
	}
	if at[0] != at[1] {
		t.Fatal("each subscriber has an encoding of its own")
	}
}
