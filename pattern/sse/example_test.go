package sse_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/parleyhq/parley/pattern/sse"
)

// A job tells a browser, or any other client, how far it is; then it says stop.
func Example() {
	progress := func(w http.ResponseWriter, r *http.Request) {
		if sse.LastEventID(r) == "3" {
			sse.Stop(w) // all was seen: do not come back
			return
		}
		out, err := sse.NewWriter(w, r, sse.WriterOptions{Retry: 100 * time.Millisecond})
		if err != nil {
			return
		}
		for i, step := range []string{"fetch", "build", "publish"} {
			if out.Send(sse.Message{ID: fmt.Sprint(i + 1), Type: "step", Data: []byte(step)}) != nil {
				return
			}
		}
	}
	server := httptest.NewServer(http.HandlerFunc(progress))
	defer server.Close()

	client, err := sse.NewClient(server.URL, sse.ClientOptions{LastEventID: "0"})
	if err != nil {
		panic(err)
	}
	for m, err := range client.Events(context.Background()) {
		if err != nil {
			panic(err)
		}
		fmt.Println(m.ID, m.Type, string(m.Data))
	}
	// Output:
	// 1 step fetch
	// 2 step build
	// 3 step publish
}

// Tokens of a language model, as they are made.
func ExampleWriter_Pump() {
	tokens := make(chan sse.Message, 2)
	tokens <- sse.Message{Data: []byte("Hello")}
	tokens <- sse.Message{Data: []byte(" world")}
	close(tokens)

	answer := httptest.NewRecorder()
	request := httptest.NewRequest("GET", "/answer", nil)
	out, err := sse.NewWriter(answer, request, sse.WriterOptions{Retry: -1})
	if err != nil {
		panic(err)
	}
	if err := out.Pump(request.Context(), tokens); err != nil {
		panic(err)
	}
	fmt.Printf("%q", answer.Body)
	// Output: ":\n\ndata: Hello\n\ndata:  world\n\n"
}
