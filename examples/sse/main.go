// Command sse counts over server-sent events. Every stream breaks after three, as
// networks do; the client comes back and misses nothing.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/parleyhq/parley/pattern/sse"
)

// count streams the numbers up to 7, after the one that the client has seen.
func count(w http.ResponseWriter, r *http.Request) {
	seen, _ := strconv.Atoi(sse.LastEventID(r)) // without one, from the beginning
	if seen >= 7 {
		sse.Stop(w)
		return
	}
	out, err := sse.NewWriter(w, r, sse.WriterOptions{Retry: 20 * time.Millisecond})
	if err != nil {
		return
	}
	for n := seen + 1; n <= min(seen+3, 7); n++ {
		if out.Send(sse.Message{ID: strconv.Itoa(n), Data: []byte("so far")}) != nil {
			return
		}
	}
}

func run(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, http.HandlerFunc(count)) }() // until the process ends
	again := func(error, time.Duration) { fmt.Println("the stream broke; again soon") }
	client, err := sse.NewClient("http://"+listener.Addr().String(), sse.ClientOptions{OnReconnect: again})
	if err != nil {
		return err
	}
	for message, err := range client.Events(ctx) {
		if err != nil {
			return err
		}
		fmt.Println(message.ID, string(message.Data))
	}
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
