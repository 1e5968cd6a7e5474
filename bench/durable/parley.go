package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/bench/target"
	"github.com/parleyhq/parley/pattern/websocket"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

func peers() []peer {
	one := func(w window) bool { return w.outstanding == 1 }
	many := func(w window) bool { return w.outstanding > 1 }
	return []peer{
		{name: "parley, HTTP, one event a request", fits: one, start: startParley((*parleyServer).http)},
		{name: "parley, gRPC stream, record batches", start: startParley((*parleyServer).grpcBatches)},
		{name: "parley, gRPC stream, events", fits: many, start: startParley((*parleyServer).grpcEvents)},
		{name: "parley, WebSocket, record batches", start: startParley((*parleyServer).wsBatches)},
		{name: "bare group-commit log, TCP", start: startChild("bare")},
		{name: "bare group-commit log, again (A/A)", start: startChild("bare")},
		{name: "empty net/http handler", fits: one, start: startChild("empty")},
		{name: "Redis Streams, appendfsync always", start: startRedis},
		{name: "JetStream, sync_interval always", start: startChild("jetstream-always")},
		{name: "JetStream, default (no fsync)", start: startChild("jetstream")},
	}
}

// parleyServer is a server process and how producers reach it.
type parleyServer struct {
	*target.Server
	how func(*parleyServer) (producer, error)
}

func startParley(how func(*parleyServer) (producer, error)) func(string) (instance, error) {
	return func(dir string) (instance, error) {
		s, err := target.Start("data", dir+"/data")
		if err != nil {
			return nil, err
		}
		return &parleyServer{s, how}, nil
	}
}

func (s *parleyServer) connect() (producer, error) { return s.how(s) }
func (s *parleyServer) pid() int                   { return s.PID() }
func (s *parleyServer) stop()                      { _ = s.Stop() }

// httpProducer writes requests by hand: the client must not be what is measured.
type httpProducer struct {
	conn net.Conn
	r    *bufio.Reader
	req  []byte
}

func (s *parleyServer) http() (producer, error) { return dialHTTP(s.HTTP) }

func dialHTTP(addr string) (producer, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpProducer{conn: conn, r: bufio.NewReader(conn)}, nil
}

func (p *httpProducer) append(_ int, payload []byte) error {
	if p.req == nil {
		p.req = append([]byte("POST /v1/topics/bench/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nContent-Length: "+strconv.Itoa(len(payload))+"\r\n\r\n"), payload...)
	}
	if _, err := p.conn.Write(p.req); err != nil {
		return err
	}
	length, status := 0, ""
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if status == "" {
			status = string(line)
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(n)))
		}
		if len(line) <= 2 {
			break
		}
	}
	if _, err := p.r.Discard(length); err != nil {
		return err
	}
	if status[9:12] != "201" && status[9:12] != "200" {
		return fmt.Errorf("status %s", status)
	}
	return nil
}

func (p *httpProducer) close() { _ = p.conn.Close() }

// wsProducer publishes record batches over a WebSocket, whose frames it writes by
// hand.
type wsProducer struct {
	conn    net.Conn
	r       *bufio.Reader
	builder parley.Builder
	frame   []byte
}

func (s *parleyServer) wsBatches() (producer, error) {
	conn, err := net.Dial("tcp", s.HTTP)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, "GET /v1/topics/bench/batches HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		return nil, err
	}
	p := &wsProducer{conn: conn, r: bufio.NewReader(conn)}
	res, err := http.ReadResponse(p.r, nil)
	if err == nil && res.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("status %s", res.Status)
	}
	return p, err
}

func (p *wsProducer) append(n int, payload []byte) error {
	p.builder.Reset()
	now := time.Now()
	for range n {
		if err := p.builder.AddRecord(now, nil, payload); err != nil {
			return err
		}
	}
	b, err := p.builder.Batch()
	if err != nil {
		return err
	}
	h := websocket.Header{Fin: true, Opcode: websocket.Binary, Masked: true, Length: uint64(b.Size())} // with the key 0, which changes nothing
	p.frame = append(h.AppendTo(p.frame[:0]), b.Bytes()...)
	if _, err := p.conn.Write(p.frame); err != nil {
		return err
	}
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return err
	}
	answer := make([]byte, head[1])
	if _, err := io.ReadFull(p.r, answer); err != nil {
		return err
	}
	if !bytes.HasPrefix(answer, []byte(`{"position":`)) {
		return fmt.Errorf("answer %q", answer)
	}
	return nil
}

func (p *wsProducer) close() { _ = p.conn.Close() }

// grpcProducer has a connection and a stream of its own.
type grpcProducer struct {
	conn    *grpc.ClientConn
	stream  grpc.BidiStreamingClient[parleyv1.PublishStreamRequest, parleyv1.PublishStreamResponse]
	builder parley.Builder
	request uint64
	batches bool
}

func (s *parleyServer) grpcBatches() (producer, error) { return s.grpc(true) }
func (s *parleyServer) grpcEvents() (producer, error)  { return s.grpc(false) }

func (s *parleyServer) grpc(batches bool) (producer, error) {
	conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	stream, err := parleyv1.NewPublishClient(conn).PublishStream(context.Background())
	if err != nil {
		return nil, err
	}
	return &grpcProducer{conn: conn, stream: stream, batches: batches}, nil
}

func (p *grpcProducer) append(n int, payload []byte) error {
	req := &parleyv1.PublishRequest{Topic: "bench"}
	if p.batches {
		p.builder.Reset()
		now := time.Now()
		for range n {
			if err := p.builder.AddRecord(now, nil, payload); err != nil {
				return err
			}
		}
		b, err := p.builder.Batch()
		if err != nil {
			return err
		}
		req.RecordBatch = b.Bytes()
	} else {
		for range n {
			req.Events = append(req.Events, &parleyv1.Event{Data: payload})
		}
	}
	p.request++
	if err := p.stream.Send(&parleyv1.PublishStreamRequest{Request: p.request, Publish: req}); err != nil {
		return err
	}
	res, err := p.stream.Recv()
	if err != nil {
		return err
	}
	if f := res.GetFailure(); f != nil {
		return fmt.Errorf("%s: %s", f.GetReason(), f.GetMessage())
	}
	return nil
}

func (p *grpcProducer) close() { _ = p.conn.Close() }

// emptyHandler answers as a publish does, and does nothing.
func emptyHandler(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, "{\"events\":[{\"topic\":\"bench\",\"partition\":0,\"position\":1,\"id\":\"00000000-0000-0000-0000-000000000000\"}]}\n")
}
