package patterntest

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

var websocketSuite = suite{pattern: "websocket", parts: []part{
	{needs: "Dialer", has: is[Dialer], checks: socketChecks},
	{needs: "way", checks: slices.Concat(deliveryChecks, placeChecks)},
}}

// Dialer opens a WebSocket on a topic; framed asks for the subprotocol of whole
// events.
type Dialer interface {
	Dial(ctx context.Context, name, after string, framed bool) (Socket, error)
}

// Socket is an open WebSocket.
type Socket interface {
	Send(ctx context.Context, text bool, message []byte) error
	Receive(ctx context.Context) (text bool, message []byte, err error)
	Close()
}

var socketChecks = []check{
	{"Socket/Raw", "on a raw socket each event's data is a message: text where it is JSON or text, else bytes", socketRaw},
	{"Socket/Chat", "each message that a socket sends is published, and arrives at every socket of the topic, in order", socketChat},
	{"Socket/Kinds", "a text message is published as text, a binary one as bytes", socketKinds},
	{"Socket/Opening", "a framed socket begins with the reader's place and the number of its streams", socketOpening},
	{"Socket/Frames", "a frame has its topic, whole events and a cursor from which any socket goes on", socketFrames},
	{"Socket/Notice", "a framed socket tells a gap before the events that are left", socketNotice},
	{"Socket/Alive", "a silent socket stays open as long as its peer answers pings", socketAlive},
}

func (s *scene) dial(after string, framed bool) Socket {
	s.Helper()
	c, err := s.door.(Dialer).Dial(s.Life, aTopic, after, framed)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	return c
}

func (s *scene) hear(c Socket) (bool, string) {
	s.Helper()
	ctx, stop := context.WithTimeout(s.Life, patience)
	defer stop()
	text, message, err := c.Receive(ctx)
	if err != nil {
		s.Fatal(err)
	}
	return text, string(message)
}

func socketRaw(s *scene) {
	sent := variety()
	s.publish(aTopic, sent...)
	c := s.dial("earliest", false)
	for i, e := range sent {
		text, got := s.hear(c)
		if want := i != 2 && i < 5; got != string(e.Data) || text != want {
			s.Errorf("event %d: text %t, %q; want text %t, %q", i, text, got, want, e.Data)
		}
	}
}

func socketChat(s *scene) {
	a, b := s.dial("latest", false), s.dial("latest", false)
	s.pass(time.Second)
	const all = 20
	for i := range all {
		if err := a.Send(s.Life, true, strconv.AppendInt(nil, int64(i), 10)); err != nil {
			s.Fatal(err)
		}
	}
	for _, c := range []Socket{a, b} {
		for i := range all {
			if _, got := s.hear(c); got != strconv.Itoa(i) {
				s.Fatalf("got %q, want %d", got, i)
			}
		}
	}
}

func socketKinds(s *scene) {
	c := s.dial("latest", false)
	for _, row := range []struct {
		text bool
		data string
		kind string
	}{{true, "zürich", "text/plain; charset=utf-8"}, {false, "\x00\xff", "application/octet-stream"}, {true, "", "text/plain; charset=utf-8"}} {
		if err := c.Send(s.Life, row.text, []byte(row.data)); err != nil {
			s.Fatal(err)
		}
		text, got := s.hear(c)
		stored := s.stored(aTopic)
		if newest := stored[len(stored)-1]; text != row.text || got != row.data || newest.DataContentType != row.kind || string(newest.Data) != row.data {
			s.Errorf("%q came as %q, text %t, stored as %s", row.data, got, text, newest.DataContentType)
		}
	}
}

// frame is a message of the framed subprotocol.
type frame struct {
	Topic  string
	Events []struct{ Data json.RawMessage }
	Cursor string
	Notice string
	Streams,
	From, To int64
}

func (s *scene) frame(c Socket) frame {
	s.Helper()
	text, message := s.hear(c)
	var f frame
	if err := json.Unmarshal([]byte(message), &f); err != nil || !text {
		s.Fatalf("%v in %s", err, message)
	}
	return f
}

func socketOpening(s *scene) {
	s.create(aTopic, 3)
	c := s.dial("latest", true)
	f := s.frame(c)
	if f.Cursor == "" || f.Streams != 3 || len(f.Events) != 0 {
		s.Fatalf("%+v", f)
	}
	c.Close()
	s.publish(aTopic, keyed("k", 7))
	again := s.dial(f.Cursor, true)
	s.frame(again)
	if f = s.frame(again); len(f.Events) != 1 || string(f.Events[0].Data) != "7" {
		s.Errorf("resumed from the opening: %+v", f)
	}
}

func socketFrames(s *scene) {
	s.put(aTopic, 1, 2)
	s.put(aTopic, 3, 3)
	at := "earliest"
	for want := 1; want <= 3; want++ { // a socket for each event
		c := s.dial(at, true)
		s.frame(c)
		f := s.frame(c)
		if f.Topic != aTopic || len(f.Events) != 1 || string(f.Events[0].Data) != strconv.Itoa(want) || f.Cursor == "" {
			s.Fatalf("event %d: %+v", want, f)
		}
		at = f.Cursor
		c.Close()
	}
}

func socketNotice(s *scene) {
	s.put(aTopic, 1, 1)
	here := s.cursor(aTopic)
	s.put(aTopic, 2, 2)
	third := s.put(aTopic, 3, 3)[0].Position
	first, _ := s.trim(aTopic, third, 3)
	c := s.dial(here, true)
	s.frame(c)
	if f := s.frame(c); f.Notice != "gap" || f.To < int64(third) {
		s.Errorf("%+v, want a gap up to %d", f, third)
	}
	if f := s.frame(c); len(f.Events) != 1 || string(f.Events[0].Data) != strconv.Itoa(first) {
		s.Errorf("%+v, want event %d", f, first)
	}
}

func socketAlive(s *scene) {
	c := s.dial("latest", false)
	got := make(chan string)
	go func() { // reading answers pings
		_, message, err := c.Receive(s.Life)
		if err != nil {
			message = []byte(err.Error())
		}
		got <- string(message)
	}()
	s.pass(2 * time.Hour)
	s.put(aTopic, 1, 1)
	if message := <-got; message != "1" {
		s.Errorf("after two hours: %q, want 1", message)
	}
}
