package poll_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/parleyhq/parley/pattern/poll"
)

func ExampleHandlerFunc() {
	news := []json.RawMessage{[]byte(`"rain"`), []byte(`"sun"`), []byte(`"snow"`)}
	read := func(_ context.Context, after string, limit int) (poll.Page, error) {
		from, _ := strconv.Atoi(after) // what is no number is the beginning
		from = max(0, min(from, len(news)))
		to := min(from+limit, len(news))
		return poll.Page{Events: news[from:to], Cursor: strconv.Itoa(to), More: to < len(news)}, nil
	}
	server := httptest.NewServer(poll.HandlerFunc(read))
	defer server.Close()

	for after, more := "earliest", true; more; {
		resp, err := http.Get(server.URL + "?limit=2&after=" + after)
		if err != nil {
			panic(err)
		}
		var answer struct {
			Events []string
			Cursor string
			More   bool
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err != nil {
			panic(err)
		}
		fmt.Println(answer.Events, answer.Cursor)
		after, more = answer.Cursor, answer.More
	}
	// Output:
	// [rain sun] 2
	// [snow] 3
}
