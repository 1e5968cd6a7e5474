package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/parleyhq/parley/test/rig"
)

const (
	source = "/crash"
	kind   = "test.crash"
	base   = "http://127.0.0.1" // the dialer knows the port
)

// answer is what the server says of a publish.
type answer struct {
	places   []place
	ids      []string
	replayed bool
}

// api reaches the server that lives now, wherever it listens.
type api struct {
	http    *http.Client
	rpc     *grpc.ClientConn
	address atomic.Pointer[string] // HOST:PORT of HTTP
	grpc    atomic.Pointer[string]
}

func newAPI() (*api, error) {
	a := &api{}
	to := func(at *atomic.Pointer[string]) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			address := at.Load()
			if address == nil {
				return nil, errors.New("there is no server yet")
			}
			return new(net.Dialer).DialContext(ctx, "tcp", *address)
		}
	}
	dial := to(&a.address)
	a.http = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 256,
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}
	dialRPC := to(&a.grpc)
	var err error
	a.rpc, err = grpc.NewClient("passthrough:///server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dialRPC(ctx) }),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.5, MaxDelay: 50 * time.Millisecond}, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	return a, err
}

// moved says where the server is now.
func (a *api) moved(s *rig.Server) {
	address, rpc := s.Address(), s.GRPC
	a.address.Store(&address)
	a.grpc.Store(&rpc)
	a.http.CloseIdleConnections()
	a.rpc.ResetConnectBackoff()
}

func (a *api) close() {
	a.http.CloseIdleConnections()
	_ = a.rpc.Close()
}

// refusal is an answer that is an error.
type refusal struct {
	status int
	code   string // last part of the problem's type, or the name of the gRPC code
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.code, r.body) }

// again says that the server asks to send the same again: it may be there or not.
func (r *refusal) again() bool {
	switch r.code {
	case "unavailable", "unknown", "overloaded", "Unavailable", "Unknown":
		return true
	}
	return false
}

// do makes one HTTP request and reads the whole answer.
func (a *api) do(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := a.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode >= 300 {
		var problem struct{ Type string }
		_ = json.Unmarshal(got, &problem) // whatever it is, it is shown
		return res, got, &refusal{res.StatusCode, problem.Type[strings.LastIndexByte(problem.Type, ':')+1:], string(got)}
	}
	return res, got, nil
}

// overHTTP sends a request in one of the three forms that HTTP has.
func (a *api) overHTTP(ctx context.Context, r *request) (answer, error) {
	header := http.Header{}
	if r.key != "" {
		header.Set("Idempotency-Key", `"`+r.key+`"`)
	}
	path, body := "/v1/topics/"+r.events[0].topic+"/events", []byte(nil)
	switch {
	case r.whole:
		path, body = "/v1/publish", jsonTopics(r)
		header.Set("Content-Type", "application/json")
	case r.key == "":
		e := r.events[0]
		header.Set("Ce-Specversion", "1.0")
		header.Set("Ce-Id", e.id)
		header.Set("Ce-Source", source)
		header.Set("Ce-Type", kind)
		if e.key != "" {
			header.Set("Ce-Partitionkey", e.key)
		}
		header.Set("Content-Type", "application/json")
		body = []byte(r.data[0])
	default:
		header.Set("Content-Type", "application/cloudevents-batch+json")
		body = jsonEvents(r.events, r.data)
	}
	res, got, err := a.do(ctx, http.MethodPost, path, header, body)
	if err != nil {
		return answer{}, err
	}
	var in struct {
		Events []struct {
			Topic, ID string
			Partition int
			Position  int64
		}
	}
	if err := json.Unmarshal(got, &in); err != nil {
		return answer{}, err
	}
	out := answer{replayed: res.Header.Get("Idempotent-Replayed") == "true"}
	for _, e := range in.Events {
		out.places = append(out.places, place{e.Topic, e.Partition, e.Position})
		out.ids = append(out.ids, e.ID)
	}
	return out, nil
}

func jsonEvents(events []event, data []string) []byte {
	var b bytes.Buffer
	for i, e := range events {
		b.WriteString([]string{"[", ","}[min(i, 1)])
		fmt.Fprintf(&b, `{"specversion":"1.0","id":%q,"source":%q,"type":%q,"datacontenttype":"application/json"`, e.id, source, kind)
		if e.key != "" {
			fmt.Fprintf(&b, `,"partitionkey":%q`, e.key)
		}
		fmt.Fprintf(&b, `,"data":%s}`, data[i])
	}
	b.WriteString("]")
	return b.Bytes()
}

func jsonTopics(r *request) []byte {
	var b bytes.Buffer
	b.WriteString(`{"topics":[`)
	for i := 0; i < len(r.events); {
		if i > 0 {
			b.WriteByte(',')
		}
		first, topic := i, r.events[i].topic
		for i < len(r.events) && r.events[i].topic == topic {
			i++
		}
		fmt.Fprintf(&b, `{"topic":%q,"events":%s}`, topic, jsonEvents(r.events[first:i], r.data[first:i]))
	}
	b.WriteString("]}")
	return b.Bytes()
}

// overRPC sends a request by gRPC.
func (a *api) overRPC(ctx context.Context, r *request) (answer, error) {
	method, body := protoPublish(r)
	got, err := call(ctx, a.rpc, method, body)
	if err != nil {
		return answer{}, refusedRPC(err)
	}
	return parsePublished(got)
}

func refusedRPC(err error) error {
	st := status.Convert(err)
	if st.Code() == codes.OK {
		return err
	}
	return &refusal{int(st.Code()), st.Code().String(), st.Message()}
}

// create makes a topic.
func (a *api) create(ctx context.Context, topic, settings string) error {
	_, _, err := a.do(ctx, http.MethodPut, "/v1/topics/"+url.PathEscape(topic), nil, []byte(settings))
	return err
}

// count asks how many events topics have.
func (a *api) count(ctx context.Context, topics []string) (int, error) {
	total := 0
	for _, t := range topics {
		_, body, err := a.do(ctx, http.MethodGet, "/v1/topics/"+t, nil, nil)
		if err != nil {
			return 0, err
		}
		var info struct{ Events int }
		if err := json.Unmarshal(body, &info); err != nil {
			return 0, err
		}
		total += info.Events
	}
	return total, nil
}

// page is the answer to a poll.
type page struct {
	events []stored
	cursor string
	more   bool
}

// poll asks once for events of a topic.
func (a *api) poll(ctx context.Context, topic string, q url.Values) (page, error) {
	_, body, err := a.do(ctx, http.MethodGet, "/v1/topics/"+topic+"/events?"+q.Encode(), nil, nil)
	if err != nil {
		return page{}, err
	}
	var in struct {
		Events []json.RawMessage
		Cursor string
		More   bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return page{}, err
	}
	out := page{cursor: in.Cursor, more: in.More}
	for _, raw := range in.Events {
		e, err := parseEvent(raw)
		if err != nil {
			return page{}, err
		}
		out.events = append(out.events, e)
	}
	return out, nil
}

// parseEvent reads a CloudEvent in JSON; data keeps its bytes.
func parseEvent(raw []byte) (stored, error) {
	var e struct {
		ID   string
		Data json.RawMessage
	}
	err := json.Unmarshal(raw, &e)
	return stored{id: e.ID, data: string(e.Data)}, err
}
