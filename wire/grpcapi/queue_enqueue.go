package grpcapi

import (
	"context"
	"strconv"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// enqueue is one request, of a call of its own or on a stream. bad is what is wrong with
// a job: who may not enqueue is not told.
func (s *service) enqueue(ctx context.Context, name, key string, jobs []queue.Job, bad error) ([]queue.Enqueued, error) {
	c := callOf(ctx)
	release, err := c.pass(ctx, "enqueue", name)
	if err != nil {
		return nil, err
	}
	defer release()
	if bad != nil {
		return nil, bad
	}
	if n := len(jobs); n == 0 || n > queue.MaxEnqueue {
		return nil, jobsInOne(n)
	}
	if c.header("traceparent") != "" {
		for i := range jobs {
			c.stampOne(&jobs[i].Event)
		}
	}
	q, err := s.api.opt.Queues.Ensure(ctx, name)
	if err != nil {
		return nil, err
	}
	added, err := q.Enqueue(ctx, jobs, queue.EnqueueOptions{IdempotencyKey: key})
	if err != nil {
		return nil, inJobs(err)
	}
	return added, nil
}

func jobsInOne(n int) error {
	return parley.BadField("jobs", strconv.Itoa(n)+" jobs in one request", "send 1 to "+strconv.Itoa(queue.MaxEnqueue))
}

func jobsFrom(in []*parleyv1.Job) ([]queue.Job, error) {
	if len(in) > queue.MaxEnqueue { // before it takes their memory again
		return nil, jobsInOne(len(in))
	}
	jobs := make([]queue.Job, len(in))
	for i, j := range in {
		var err error
		if jobs[i], err = jobFrom(j); err != nil {
			return nil, inList("jobs", i, err)
		}
	}
	return jobs, nil
}

func enqueuedOf(added []queue.Enqueued) *parleyv1.EnqueueResponse {
	out, list := &parleyv1.EnqueueResponse{Jobs: make([]*parleyv1.Enqueued, len(added))}, make([]parleyv1.Enqueued, len(added))
	for i, a := range added {
		list[i].Id, list[i].Duplicate = int64(a.ID), int64(a.Duplicate)
		out.Jobs[i] = &list[i]
	}
	return out
}

// enqueueIn is a message that comes on an EnqueueStream.
type enqueueIn struct {
	byHand packed.Enqueue
	buf    mem.Buffer                     // whose memory the jobs' data is; nil = they have their own
	other  *parleyv1.EnqueueStreamRequest // nil = it was read by hand
}

// take implements handmade.
func (in *enqueueIn) take(buf mem.Buffer) bool {
	if !in.byHand.Read(buf.ReadOnlyData()) {
		return false
	}
	in.buf = buf
	return true
}

// message implements handmade. What take has read before it gave up is forgotten.
func (in *enqueueIn) message() proto.Message {
	in.byHand = packed.Enqueue{Jobs: in.byHand.Jobs[:0]}
	in.other = new(parleyv1.EnqueueStreamRequest)
	return in.other
}

// free gives back what was used.
func (in *enqueueIn) free() {
	if in.buf != nil {
		in.buf.Free()
	}
	jobs := in.byHand.Jobs
	if clear(jobs); cap(jobs) > keepJobs {
		jobs = nil
	}
	*in = enqueueIn{byHand: packed.Enqueue{Jobs: jobs[:0]}}
	enqueueIns.Put(in)
}

// keepJobs bounds what a message that is used again has room for.
const keepJobs = 512

var enqueueIns = sync.Pool{New: func() any { return new(enqueueIn) }}

// enqueueOut is the answer to it.
type enqueueOut struct {
	byHand packed.Enqueued
	other  *parleyv1.EnqueueStreamResponse // nil = it is written by hand
}

// enqueueStream is a stream of these messages.
type enqueueStream struct {
	grpc.ServerStream
	api *API
}

// Recv implements grpc.BidiStreamingServer.
func (s enqueueStream) Recv() (*enqueueIn, error) {
	in := enqueueIns.Get().(*enqueueIn) //nolint:forcetypeassert // nothing else is put there
	if err := s.RecvMsg(in); err != nil {
		return nil, err
	}
	return in, nil
}

// Send implements grpc.BidiStreamingServer.
func (s enqueueStream) Send(out *enqueueOut) error {
	if out.other != nil {
		return s.SendMsg(out.other)
	}
	buf := s.api.buffers.Get(out.byHand.Size())
	*buf = out.byHand.Append((*buf)[:0])
	return s.SendMsg(&encoded{mem.BufferSlice{mem.NewBuffer(buf, s.api.buffers)}})
}

// EnqueueStream implements parleyv1.QueuesServer.
func (s *service) EnqueueStream(stream grpc.BidiStreamingServer[parleyv1.EnqueueStreamRequest, parleyv1.EnqueueStreamResponse]) error {
	ctx := stream.Context()
	return runPipeline(s, enqueueStream{stream, s.api}, kind[enqueueIn, enqueueOut]{
		size: func(in *enqueueIn) (size int) {
			if in.other == nil {
				return in.buf.Len()
			}
			for _, j := range in.other.GetEnqueue().GetJobs() {
				size += len(j.GetEvent().GetData()) + 256 // attributes, about
			}
			return size
		},
		keys: func(in *enqueueIn, name func(...string)) {
			for i := range in.byHand.Jobs {
				if key := in.byHand.Jobs[i].Key; key != "" {
					name(in.byHand.Queue, key)
				}
			}
			for _, j := range in.other.GetEnqueue().GetJobs() {
				if j.GetKey() != "" {
					name(in.other.GetEnqueue().GetQueue(), j.GetKey())
				}
			}
		},
		do: func(in *enqueueIn) *enqueueOut { return s.enqueueOne(ctx, in) },
	})
}

func (s *service) enqueueOne(ctx context.Context, in *enqueueIn) *enqueueOut {
	defer in.free()
	out := &enqueueOut{}
	out.byHand.Request = in.byHand.Request
	err := callOf(ctx).guard(func() (err error) {
		name, key, jobs := in.byHand.Queue, in.byHand.IdempotencyKey, in.byHand.Jobs
		var bad error
		if in.other != nil {
			m := in.other.GetEnqueue()
			if out.byHand.Request = in.other.GetRequest(); m == nil {
				return parley.BadField("enqueue", "is absent", "send what to enqueue")
			}
			name, key = m.GetQueue(), m.GetIdempotencyKey()
			jobs, bad = jobsFrom(m.GetJobs())
		}
		out.byHand.Jobs, err = s.enqueue(ctx, name, key, jobs, bad)
		return err
	})
	if err != nil {
		s.api.failed(ctx, callOf(ctx), err)
		out.other = &parleyv1.EnqueueStreamResponse{Request: out.byHand.Request, Result: &parleyv1.EnqueueStreamResponse_Failure{Failure: failureOf(err)}}
	}
	return out
}
