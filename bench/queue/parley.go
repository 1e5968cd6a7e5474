package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/bench/target"
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/pattern/queue"
)

// parleyServer is a server process.
type parleyServer struct{ *target.Server }

func startParley(dir string) (instance, error) {
	s, err := target.Start("data", dir+"/data")
	if err != nil {
		return nil, err
	}
	return &parleyServer{s}, nil
}

func (s *parleyServer) pid() int { return s.PID() }
func (s *parleyServer) stop()    { _ = s.Stop() }

// dial is for what the SDK has no call for.
func (s *parleyServer) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// parleyEnqueuer has a connection and a stream of its own.
type parleyEnqueuer struct {
	conn   *overgrpc.Transport
	stream *overgrpc.EnqueueStream
	jobs   []queue.Job
}

func (s *parleyServer) enqueuer() (enqueuer, error) {
	conn, err := overgrpc.Dial(s.GRPC, overgrpc.Options{})
	if err != nil {
		return nil, err
	}
	return &parleyEnqueuer{conn: conn, stream: conn.Queue("bench").EnqueueStream()}, nil
}

func (p *parleyEnqueuer) enqueue(n int, payload []byte) error {
	p.jobs = p.jobs[:0]
	for range n {
		p.jobs = append(p.jobs, queue.Job{Event: parley.Event{Data: payload}})
	}
	_, err := p.stream.Enqueue(context.Background(), p.jobs, queue.EnqueueOptions{})
	return err
}

func (p *parleyEnqueuer) close() { _ = p.conn.Close() }

type parleyWorker struct {
	conn *overgrpc.Transport
}

func (s *parleyServer) worker() (worker, error) {
	conn, err := overgrpc.Dial(s.GRPC, overgrpc.Options{})
	return &parleyWorker{conn}, err
}

// work has several goroutines lease and ack, so that jobs come while others are acked.
func (p *parleyWorker) work(ctx context.Context, done func(int)) error {
	defer func() { _ = p.conn.Close() }()
	stream, err := p.conn.Queue("bench").WorkStream(overgrpc.WorkOptions{Ahead: 2 * batch})
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	const several = 6
	ended := make(chan error, several)
	for range several {
		go func() { ended <- p.workOff(ctx, stream, done) }()
	}
	for range several {
		err = errors.Join(err, <-ended)
	}
	return err
}

func (p *parleyWorker) workOff(ctx context.Context, stream *overgrpc.WorkStream, done func(int)) error {
	var acks []queue.Settlement
	for ctx.Err() == nil {
		list, err := stream.Lease(ctx, queue.LeaseRequest{Max: batch, Wait: time.Minute, Visibility: time.Minute})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			continue
		}
		acks = acks[:0]
		for i := range list {
			acks = append(acks, queue.Settlement{Lease: list[i].Token, Action: queue.Ack})
		}
		errs, err := stream.Settle(ctx, acks)
		if err = errors.Join(append(errs, err)...); err != nil {
			return err
		}
		done(len(list))
	}
	return nil
}
