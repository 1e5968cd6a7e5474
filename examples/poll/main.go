// Command poll keeps a guest book that is read by polling. It needs no log and no
// server but net/http: any slice that grows will do.
//
//	go run ./examples/poll
//	curl 'ADDRESS?after=1&wait=30s'    is answered when the book is signed again
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/poll"
)

// book is what guests wrote. A cursor is the number of lines before it.
type book struct {
	mu    sync.Mutex
	lines []json.RawMessage
}

func (b *book) read(_ context.Context, after string, limit int) (poll.Page, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from, err := strconv.Atoi(after)
	switch {
	case after == "" || after == "earliest":
		from = 0
	case after == "latest":
		from = len(b.lines)
	case err != nil || from < 0 || from > len(b.lines):
		return poll.Page{}, &parley.Error{Code: parley.BadCursor, Field: "after", Detail: "not a place in this book"}
	}
	to := min(from+limit, len(b.lines))
	return poll.Page{Events: b.lines[from:to:to], Cursor: strconv.Itoa(to), More: to < len(b.lines)}, nil
}

func (b *book) sign(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, json.RawMessage(strconv.Quote(r.PathValue("name"))))
	w.WriteHeader(http.StatusCreated)
}

func main() {
	guests := &book{}
	http.Handle("GET /", poll.Handler(poll.Every(50*time.Millisecond, guests.read), poll.Options{}))
	http.HandleFunc("POST /{name}", guests.sign)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Printf("http://%s\n", listener.Addr())
		err = http.Serve(listener, nil) // until Ctrl-C
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
