package patterntest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/pattern/queue"
)

var (
	_ patterntest.WorkQueue = near{}
	_ patterntest.WorkQueue = overHTTP{}
	_ patterntest.WorkQueue = bySDK{}
)

func (c bySDK) Queue(name string) patterntest.Jobs { return c.client.Queue(name) }

func (h overHTTP) Queue(name string) patterntest.Jobs { return httpQueue{h, base + "/queues/" + name} }

// httpQueue is a queue as the documentation of the API describes it.
type httpQueue struct {
	overHTTP
	at string
}

func (q httpQueue) post(ctx context.Context, path string, header http.Header, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil || in == nil {
		body = nil
	}
	_, answer, err := q.call(ctx, http.MethodPost, q.at+path, header, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

func (q httpQueue) Enqueue(ctx context.Context, jobs []queue.Job, o queue.EnqueueOptions) ([]queue.Enqueued, error) {
	header := http.Header{"Content-Type": {"application/vnd.parley.jobs+json"}}
	if o.IdempotencyKey != "" {
		header.Set("Idempotency-Key", strconv.Quote(o.IdempotencyKey))
	}
	var out struct{ Jobs []queue.Enqueued }
	err := q.post(ctx, "/jobs", header, map[string]any{"jobs": jobs}, &out)
	return out.Jobs, err
}

func (q httpQueue) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Lease, error) {
	v := url.Values{"max": {strconv.Itoa(max(r.Max, 1))}, "wait": {r.Wait.String()}, "worker": {r.Worker}}
	if r.Visibility > 0 {
		v.Set("visibility", r.Visibility.String())
	}
	var out struct {
		Jobs []struct {
			Lease      string
			ID         queue.ID
			Event      json.RawMessage
			Enqueued   time.Time
			Priority   int
			Key        string
			Attempt    int
			Until      time.Time
			Visibility string
		}
	}
	if err := q.post(ctx, "/lease?"+v.Encode(), nil, nil, &out); err != nil {
		return nil, err
	}
	var list []queue.Lease
	for _, j := range out.Jobs {
		e, err := parley.ParseJSON(j.Event)
		if err != nil {
			return nil, err
		}
		visibility, err := time.ParseDuration(j.Visibility)
		if err != nil {
			return nil, err
		}
		list = append(list, queue.Lease{
			Token: j.Lease, ID: j.ID, Event: e, Enqueued: j.Enqueued, Priority: j.Priority, Key: j.Key,
			Attempt: j.Attempt, Until: j.Until, Visibility: visibility,
		})
	}
	return list, nil
}

// Settle settles one lease by its own route, as curl would, and several by one
// request.
func (q httpQueue) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	if s := list[0]; len(list) == 1 && s.Action != queue.Report {
		return []error{q.settleOne(ctx, s)}, nil
	}
	var entries []map[string]any
	for _, s := range list {
		entry := map[string]any{"lease": s.Lease, "action": s.Action}
		maps.Copy(entry, settled(s))
		if s.Result != nil {
			entry["result"] = s.Result
		}
		entries = append(entries, entry)
	}
	var out struct {
		Results []struct{ Error json.RawMessage }
	}
	if err := q.post(ctx, "/settle", nil, map[string]any{"settlements": entries}, &out); err != nil {
		return nil, err
	}
	errs := make([]error, len(list))
	for i, r := range out.Results {
		if r.Error != nil {
			errs[i] = problem(bytes.NewReader(r.Error))
		}
	}
	return errs, nil
}

// settled is what a settlement says beyond its action.
func settled(s queue.Settlement) map[string]any {
	out := map[string]any{}
	if s.Delay != nil {
		out["delay"] = s.Delay.String()
	}
	if s.Extend > 0 {
		out["extend"] = s.Extend.String()
	}
	if s.Cause != "" {
		out["cause"] = s.Cause
	}
	if s.Progress != nil {
		out["progress"], out["note"] = s.Progress.Fraction, s.Progress.Note
	}
	return out
}

func (q httpQueue) settleOne(ctx context.Context, s queue.Settlement) error {
	header, body := http.Header{}, []byte(nil)
	if s.Result != nil {
		header.Set("Content-Type", s.Result.ContentType)
		body = s.Result.Data
	} else if more := settled(s); len(more) > 0 {
		var err error
		if body, err = json.Marshal(more); err != nil {
			return err
		}
	}
	_, _, err := q.call(ctx, http.MethodPost, base+"/leases/"+s.Lease+"/"+string(s.Action), header, body)
	return err
}

func (q httpQueue) Peek(ctx context.Context, r queue.PeekRequest) ([]queue.Info, error) {
	_, answer, err := q.call(ctx, http.MethodGet, q.at+"/jobs?state="+string(r.State), nil, nil)
	if err != nil {
		return nil, err
	}
	var out struct {
		Jobs []struct {
			queue.Info
			Event json.RawMessage
		}
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, err
	}
	var list []queue.Info
	for _, j := range out.Jobs {
		if j.Info.Event, err = parley.ParseJSON(j.Event); err != nil {
			return nil, err
		}
		list = append(list, j.Info)
	}
	return list, nil
}

func (q httpQueue) Redrive(ctx context.Context, f queue.Filter) (int64, error) {
	var out struct{ Redriven int64 }
	err := q.post(ctx, "/redrive", nil, f, &out)
	return out.Redriven, err
}

func (q httpQueue) Configure(ctx context.Context, s queue.Settings) (queue.Settings, error) {
	s, err := s.Defaults()
	if err != nil {
		return s, err
	}
	body, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	_, answer, err := q.call(ctx, http.MethodPut, q.at, nil, body)
	if err != nil {
		return s, err
	}
	var out struct{ Settings queue.Settings }
	err = json.Unmarshal(answer, &out)
	return out.Settings, err
}

func (q httpQueue) Result(ctx context.Context, id queue.ID, wait time.Duration) (queue.Outcome, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.at+"/jobs/"+id.String()+"/result?wait="+wait.String(), nil)
	if err != nil {
		return queue.Outcome{}, err
	}
	res, err := q.client.Do(req)
	if err != nil {
		return queue.Outcome{}, broken(ctx, err)
	}
	defer res.Body.Close()
	out := queue.Outcome{ID: id, State: queue.State(res.Header.Get("Parley-Job-State"))}
	switch {
	case res.StatusCode == http.StatusOK:
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return out, broken(ctx, err)
		}
		events, _, err := parley.ParseHTTP(res.Header, body)
		if err != nil {
			return out, err
		}
		out.Result = &events[0]
	case res.StatusCode == http.StatusUnprocessableEntity && out.State != "":
		out.Reason = strings.TrimPrefix(problem(res.Body).Error(), "unprocessable: ")
	case res.StatusCode >= 300:
		return out, problem(res.Body)
	}
	return out, nil
}
