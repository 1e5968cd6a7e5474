package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley/client"
)

// limitRun is one run of an experiment on its way.
type limitRun struct {
	req   LimitRequest
	kind  Experiment
	api   http.Handler
	open  open
	topic string
	token string
	rec   *recorder
	calls ledger
}

// names are the lanes.
func (r *limitRun) names() (all []string) {
	for _, l := range r.kind.Lanes {
		all = append(all, l.Name)
	}
	return all
}

func (r *limitRun) topicOf(lane string) string { return r.topic + "." + lane }

// longest is how long a run may take: the schedule, what stands in line then, and
// what comes back again and again.
func (r *limitRun) longest() time.Duration { return 6*r.req.window() + grace }

// do lets every lane have the whole schedule and waits until each call has been let in
// or refused for good, or ctx ends. When it returns, nothing of the run lives any more.
func (r *limitRun) do(ctx context.Context) (first error) {
	ctx, stop := context.WithDeadline(ctx, r.rec.start.Add(r.longest()))
	defer stop()
	var work sync.WaitGroup // of the servers
	defer work.Wait()
	defer stop()
	turns := r.req.schedule()
	var callers sync.WaitGroup
	failed := make(chan error, len(turns)*len(r.kind.Lanes))
	for _, lane := range r.kind.Lanes {
		at, err := lay(ctx, r.open, &tap{lane: lane.Name, rec: r.rec}, r.api, &work)
		if err != nil {
			stop()
			callers.Wait()
			return err
		}
		at.transport.MaxIdleConnsPerHost = len(turns)
		defer at.shut()
		for i, turn := range turns {
			callers.Go(func() { failed <- r.call(ctx, at, lane, i+1, turn) })
		}
	}
	for range cap(failed) {
		if err := <-failed; err != nil && first == nil {
			first = err
			stop()
		}
	}
	callers.Wait()
	return first
}

// call is one caller from its turn until it is let in, refused for good, or the run
// is over.
func (r *limitRun) call(ctx context.Context, at *site, lane LimitLane, number int, t turn) error {
	when := r.rec.start.Add(t.at)
	for try := 1; until(ctx, when); try++ {
		one := Call{Lane: lane.Name, Call: number, Try: try}
		sent := time.Now()
		res, err := r.request(ctx, at, lane, number)
		if err != nil {
			return ended(ctx, fmt.Errorf("%s: %w", lane.Title, err))
		}
		done := time.Now()
		one.Sent, one.Done, one.Status = milliseconds(sent.Sub(r.rec.start)), milliseconds(done.Sub(r.rec.start)), res.StatusCode
		one.RetryAfter, _ = strconv.Atoi(res.Header.Get("Retry-After")) // 0 when there is none
		if lane.visit == enters && res.StatusCode == http.StatusOK {
			one.Let = one.Done
			if left, stayed := stays(ctx, res.Body, t.stay); stayed {
				one.Left = milliseconds(left.Sub(r.rec.start))
			} else if ctx.Err() == nil {
				one.Status = http.StatusServiceUnavailable // a stream that ends at once is how a browser is turned away
			}
		} else {
			body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16)) // to its end, so that the connection can be used again
			if one.admitted() {
				one.Let = letIn(body, r.rec.start, one.Done)
			}
		}
		_ = res.Body.Close()
		r.calls.add(one)
		if lane.visit != obeys || one.RetryAfter == 0 {
			return nil
		}
		when = done.Add(time.Duration(one.RetryAfter) * time.Second)
	}
	return nil
}

// letIn is when the server made the event of an answer, in milliseconds from start:
// its id is a UUID of version 7, which begins with the moment (RFC 9562 §5.7). The
// caller hears of it later, by as much as the disk and a busy machine take, and of one
// later than of the next. Without such an id it is when the caller heard.
func letIn(body []byte, start time.Time, heard float64) float64 {
	var answer struct{ Events []client.Placed }
	if json.Unmarshal(body, &answer) != nil || len(answer.Events) != 1 || len(answer.Events[0].ID) != 36 || answer.Events[0].ID[14] != '7' {
		return heard
	}
	id := answer.Events[0].ID
	made, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	if err != nil {
		return heard
	}
	return min(milliseconds(time.UnixMilli(made).Sub(start)), heard)
}

// request publishes an event, or opens a stream.
func (r *limitRun) request(ctx context.Context, at *site, lane LimitLane, number int) (*http.Response, error) {
	url := at.base + "/v1/topics/" + r.topicOf(lane.Name) + "/events"
	method, body, header, value := http.MethodPost, `{"call":`+strconv.Itoa(number)+`}`, "Content-Type", "application/json"
	if lane.visit == enters {
		method, body, header, value = http.MethodGet, "", "Accept", "text/event-stream"
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set(header, value)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	return at.transport.RoundTrip(req)
}

// stays holds a stream open for a while, and says false when it ended before. left is
// the moment before the stream is closed: afterwards the next one may be inside.
func stays(ctx context.Context, body io.ReadCloser, d time.Duration) (left time.Time, stayed bool) {
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, body) // ends with the stream, or when this end closes it
		close(over)
	}()
	leave := time.NewTimer(d)
	defer leave.Stop()
	select {
	case <-leave.C:
		stayed = true
	case <-ctx.Done():
	case <-over:
	}
	left = time.Now()
	_ = body.Close()
	<-over
	return left, stayed
}
