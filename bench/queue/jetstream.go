package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const peerEnv = "PARLEY_BENCH_PEER"

// peerMain is the process of a peer that this program contains.
func peerMain() {
	if os.Getenv(peerEnv) == "" {
		return
	}
	fmt.Fprintln(os.Stderr, servePeer(os.Getenv(peerEnv), os.Args[1]))
	os.Exit(1)
}

func servePeer(kind, dir string) error {
	if kind == "empty" {
		return serveEmpty()
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
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
	addr string
}

func startChild(kind, dir string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, dir)}
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
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }
func (c *child) stop()    { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() }

type jetStream struct{ *child }

func startJetStream(dir string) (instance, error) {
	c, err := startChild("jetstream", dir)
	if err != nil {
		return nil, err
	}
	j := &jetStream{c}
	client, err := j.dial()
	if err != nil {
		return nil, err
	}
	defer client.close()
	if _, err := client.js.AddStream(&nats.StreamConfig{Name: "bench", Subjects: []string{"bench"}, Storage: nats.FileStorage, Retention: nats.WorkQueuePolicy}); err != nil {
		return nil, err
	}
	_, err = client.js.AddConsumer("bench", &nats.ConsumerConfig{Durable: "w", AckPolicy: nats.AckExplicitPolicy, MaxAckPending: 1024, AckWait: time.Minute})
	return j, err
}

type jetClient struct {
	nc *nats.Conn
	js nats.JetStreamContext
}

func (j *jetStream) dial() (*jetClient, error) {
	nc, err := nats.Connect("nats://" + j.addr)
	if err != nil {
		return nil, err
	}
	js, err := nc.JetStream(nats.PublishAsyncMaxPending(1024))
	return &jetClient{nc, js}, err
}

func (j *jetStream) enqueuer() (enqueuer, error) { return j.dial() }
func (j *jetStream) worker() (worker, error)     { return j.dial() }

func (p *jetClient) enqueue(n int, payload []byte) error {
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

// work fetches batches; an ack is one message each, and the last of a batch waits for
// the server, which takes them in order.
func (p *jetClient) work(ctx context.Context, done func(int)) error {
	defer p.close()
	sub, err := p.js.PullSubscribe("bench", "w", nats.Bind("bench", "w"))
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		list, err := sub.Fetch(batch, nats.MaxWait(time.Second))
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			return err
		}
		for i, m := range list {
			ack := m.Ack
			if i == len(list)-1 {
				ack = m.AckSync
			}
			if err := ack(); err != nil {
				return err
			}
		}
		done(len(list))
	}
	return nil
}

func (p *jetClient) close() { p.nc.Close() }
