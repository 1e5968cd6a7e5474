package websocket_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"

	coder "github.com/coder/websocket"

	"github.com/parleyhq/parley/pattern/websocket"
)

// An echo server: the handler returns, the connection lives on.
func ExampleUpgrade() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, websocket.Options{})
		if err != nil {
			return // the client has been told
		}
		go c.Run(context.Background(), c.Write)
	}))
	defer srv.Close()

	ctx := context.Background()
	c, _, err := coder.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = c.Write(ctx, coder.MessageText, []byte("hello"))
	_, data, _ := c.Read(ctx)
	fmt.Println(string(data), c.Close(coder.StatusNormalClosure, ""))
	// Output: hello <nil>
}

// room is a chat: what one says, all hear. A message is encoded and compressed
// once, however many are there.
type room struct{ members sync.Map }

func (m *room) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Upgrade(w, r, websocket.Options{Compression: true})
	if err != nil {
		return
	}
	m.members.Store(c, nil)
	go func() {
		defer m.members.Delete(c)
		_ = c.Run(context.Background(), m.say)
	}()
}

func (m *room) say(op websocket.Opcode, msg []byte) error {
	f, err := websocket.NewFrame(op, msg)
	var here []*websocket.Conn // who comes while it is said has not heard it
	m.members.Range(func(c, _ any) bool {
		here = append(here, c.(*websocket.Conn))
		return true
	})
	for _, c := range here {
		_ = c.WriteFrames(f) // who cannot hear is dropped
	}
	return err
}

// A chat room that sends one prepared frame to everybody in it.
func ExampleNewFrame() {
	srv := httptest.NewServer(&room{})
	defer srv.Close()

	ctx := context.Background()
	var all []*coder.Conn
	for range 3 {
		c, _, err := coder.Dial(ctx, srv.URL, &coder.DialOptions{CompressionMode: coder.CompressionContextTakeover})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer c.CloseNow()
		// Who has heard its own greeting is in.
		_ = c.Write(ctx, coder.MessageText, []byte("hi"))
		_, _, _ = c.Read(ctx)
		for _, other := range all {
			_, _, _ = other.Read(ctx)
		}
		all = append(all, c)
	}
	_ = all[0].Write(ctx, coder.MessageText, []byte("lunch?"))
	for _, c := range all {
		_, data, _ := c.Read(ctx)
		fmt.Println(string(data))
	}
	// Output:
	// lunch?
	// lunch?
	// lunch?
}
