package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const peerEnv = "PARLEY_BENCH_PEER"

// peerMain is the process of a peer that this program contains.
func peerMain() {
	kind := os.Getenv(peerEnv)
	if kind == "" {
		return
	}
	fmt.Fprintln(os.Stderr, servePeer(kind, os.Args[1]))
	os.Exit(1)
}

func servePeer(kind, dir string) error {
	if kind == "jetstream" || kind == "jetstream-always" {
		return serveJetStream(dir, kind == "jetstream-always")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	if kind == "empty" {
		return http.Serve(ln, http.HandlerFunc(emptyHandler))
	}
	return serveBare(ln, dir)
}

func serveJetStream(dir string, always bool) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, SyncAlways: always})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("not ready")
	}
	fmt.Println(s.Addr())
	s.WaitForShutdown()
	return nil
}

// child is a peer's process.
type child struct {
	cmd  *exec.Cmd
	kind string
	addr string
}

func startChild(kind string) func(string) (instance, error) {
	return func(dir string) (instance, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		c := &child{cmd: exec.Command(self, dir), kind: kind}
		c.cmd.Env = append(os.Environ(), peerEnv+"="+kind)
		c.cmd.Stderr = os.Stderr
		out, err := c.cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := c.cmd.Start(); err != nil {
			return nil, err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return nil, err
		}
		c.addr = line[:len(line)-1]
		if kind == "jetstream" || kind == "jetstream-always" {
			return c, c.addStream()
		}
		return c, nil
	}
}

func (c *child) connect() (producer, error) {
	switch c.kind {
	case "bare":
		return dialBare(c.addr)
	case "empty":
		return dialHTTP(c.addr)
	}
	return dialJetStream(c.addr)
}

func (c *child) pid() int { return c.cmd.Process.Pid }
func (c *child) stop()    { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() }

func (c *child) addStream() error {
	nc, err := nats.Connect("nats://" + c.addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		return err
	}
	_, err = js.AddStream(&nats.StreamConfig{Name: "bench", Subjects: []string{"bench"}, Storage: nats.FileStorage})
	return err
}

type jetProducer struct {
	nc *nats.Conn
	js nats.JetStreamContext
}

func dialJetStream(addr string) (producer, error) {
	nc, err := nats.Connect("nats://" + addr)
	if err != nil {
		return nil, err
	}
	js, err := nc.JetStream(nats.PublishAsyncMaxPending(1024))
	return &jetProducer{nc, js}, err
}

func (p *jetProducer) append(n int, payload []byte) error {
	acks := make([]nats.PubAckFuture, n)
	for i := range acks {
		var err error
		if acks[i], err = p.js.PublishAsync("bench", payload); err != nil {
			return err
		}
	}
	for _, a := range acks {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			return err
		}
	}
	return nil
}

func (p *jetProducer) close() { p.nc.Close() }

// redis is Debian's redis-server.
type redis struct {
	cmd  *exec.Cmd
	addr string
}

func startRedis(dir string) (instance, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close() // for redis to take
	r := &redis{cmd: exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0"), addr: "127.0.0.1:" + port}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("redis-server (apt-get install redis-server): %w", err)
	}
	for range 100 {
		if conn, err := net.Dial("tcp", r.addr); err == nil {
			_ = conn.Close()
			return r, nil
		}
		<-time.After(50 * time.Millisecond)
	}
	r.stop()
	return nil, errors.New("redis-server does not answer")
}

func (r *redis) pid() int { return r.cmd.Process.Pid }
func (r *redis) stop()    { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() }

type redisProducer struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

func (r *redis) connect() (producer, error) {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		return nil, err
	}
	return &redisProducer{conn: conn, r: bufio.NewReader(conn)}, nil
}

// append pipelines XADD commands.
func (p *redisProducer) append(n int, payload []byte) error {
	p.buf = p.buf[:0]
	for range n {
		p.buf = append(p.buf, "*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nd\r\n$"+strconv.Itoa(len(payload))+"\r\n"...)
		p.buf = append(append(p.buf, payload...), "\r\n"...)
	}
	if _, err := p.conn.Write(p.buf); err != nil {
		return err
	}
	for range n {
		for range 2 { // $LENGTH, and the id
			line, err := p.r.ReadSlice('\n')
			if err != nil {
				return err
			}
			if bytes.HasPrefix(line, []byte("-")) {
				return errors.New(string(line))
			}
		}
	}
	return nil
}

func (p *redisProducer) close() { _ = p.conn.Close() }
