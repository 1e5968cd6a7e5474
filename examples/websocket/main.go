// Command websocket is a chat room: what one says, all hear. Open the address that
// it prints in two windows. Ctrl-C ends it.
package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/parleyhq/parley/pattern/websocket"
)

const page = `<!doctype html><title>Room</title><input id=say autofocus><pre id=heard></pre><script>
const ws = new WebSocket('ws://' + location.host + '/room')
ws.onmessage = (m) => { heard.append(m.data + '\n') }
say.onchange = () => { ws.send(say.value); say.value = '' }
</script>`

type room struct {
	mu   sync.Mutex
	here map[*websocket.Conn]bool
}

func (r *room) enter(ctx context.Context, c *websocket.Conn) {
	r.mu.Lock()
	r.here[c] = true
	r.mu.Unlock()
	_ = c.Run(ctx, r.say) // how somebody leaves matters to nobody here
	r.mu.Lock()
	delete(r.here, c)
	r.mu.Unlock()
}

// say encodes once, whoever listens. Writing happens outside the lock: it may wait.
func (r *room) say(op websocket.Opcode, message []byte) error {
	frame, err := websocket.NewFrame(op, message)
	r.mu.Lock()
	everybody := slices.Collect(maps.Keys(r.here))
	r.mu.Unlock()
	for _, c := range everybody {
		_ = c.WriteFrames(frame) // a connection that fails ends its own Run
	}
	return err
}

func main() {
	r := &room{here: map[*websocket.Conn]bool{}}
	http.HandleFunc("/room", func(w http.ResponseWriter, req *http.Request) {
		if c, err := websocket.Upgrade(w, req, websocket.Options{}); err == nil {
			go r.enter(context.Background(), c) // it outlives its request
		}
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Printf("http://%s\n", listener.Addr())
		err = http.Serve(listener, nil) // until Ctrl-C
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
