package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley/bench/target"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
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

func (s *parleyServer) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(1<<20))
}

// parleyEnqueuer has a connection and a stream of its own.
type parleyEnqueuer struct {
	conn    *grpc.ClientConn
	stream  grpc.BidiStreamingClient[parleyv1.EnqueueStreamRequest, parleyv1.EnqueueStreamResponse]
	request uint64
}

func (s *parleyServer) enqueuer() (enqueuer, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	stream, err := parleyv1.NewQueuesClient(conn).EnqueueStream(context.Background())
	return &parleyEnqueuer{conn: conn, stream: stream}, err
}

func (p *parleyEnqueuer) enqueue(n int, payload []byte) error {
	jobs := make([]*parleyv1.Job, n)
	for i := range jobs {
		jobs[i] = &parleyv1.Job{Event: &parleyv1.Event{Data: payload}}
	}
	p.request++
	if err := p.stream.Send(&parleyv1.EnqueueStreamRequest{Request: p.request, Enqueue: &parleyv1.EnqueueRequest{Queue: "bench", Jobs: jobs}}); err != nil {
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

func (p *parleyEnqueuer) close() { _ = p.conn.Close() }

type parleyWorker struct {
	conn *grpc.ClientConn
}

func (s *parleyServer) worker() (worker, error) {
	conn, err := s.dial()
	return &parleyWorker{conn}, err
}

// work keeps credit for four batches, so that jobs come while others are acked.
func (p *parleyWorker) work(ctx context.Context, done func(int)) error {
	defer func() { _ = p.conn.Close() }()
	stream, err := parleyv1.NewQueuesClient(p.conn).Work(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&parleyv1.WorkRequest{Open: &parleyv1.WorkOpen{Queue: "bench", Visibility: durationpb.New(time.Minute)}, Credit: 4 * batch}); err != nil {
		return err
	}
	sizes := map[uint64]int{}
	for request := uint64(1); ; {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if s := m.GetSettled(); s != nil {
			if s.GetFailure() != nil || len(s.GetFailures()) > 0 {
				return fmt.Errorf("settling: %v", s)
			}
			done(sizes[s.GetRequest()])
			delete(sizes, s.GetRequest())
		}
		if n := len(m.GetJobs()); n > 0 {
			acks := make([]*parleyv1.Settlement, n)
			for i, j := range m.GetJobs() {
				acks[i] = &parleyv1.Settlement{Lease: j.GetLease()}
			}
			sizes[request] = n
			if err := stream.Send(&parleyv1.WorkRequest{Request: request, Settlements: acks, Credit: int32(n)}); err != nil {
				return err
			}
			request++
		}
	}
}
