package grpcapi

import (
	"context"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Settle implements parleyv1.QueuesServer.
func (s *service) Settle(ctx context.Context, in *parleyv1.SettleRequest) (*parleyv1.SettleResponse, error) {
	out := &parleyv1.SettleResponse{}
	return out, s.withQueue(ctx, "work", in.GetQueue(), func(q *queue.Queue) error {
		list, err := settlementsFrom(in.GetSettlements())
		if err != nil {
			return err
		}
		errs, err := q.Settle(ctx, list)
		out.Failures = failuresOf(errs)
		return err
	})
}

// settlementsFrom reads settlements. Errors name the one at fault.
func settlementsFrom(in []*parleyv1.Settlement) ([]queue.Settlement, error) {
	if len(in) == 0 || len(in) > queue.MaxSettle {
		return nil, parley.BadField("settlements", strconv.Itoa(len(in))+" in one request", "send 1 to "+strconv.Itoa(queue.MaxSettle))
	}
	list := make([]queue.Settlement, len(in))
	for i, s := range in {
		var err error
		if list[i], err = settlementFrom(s); err != nil {
			return nil, inList("settlements", i, err)
		}
	}
	return list, nil
}

// actions are the actions by those of queue.
var actions = map[parleyv1.SettleAction]queue.Action{
	parleyv1.SettleAction_SETTLE_ACTION_ACK: queue.Ack, parleyv1.SettleAction_SETTLE_ACTION_NACK: queue.Nack,
	parleyv1.SettleAction_SETTLE_ACTION_EXTEND: queue.Extend, parleyv1.SettleAction_SETTLE_ACTION_PROGRESS: queue.Report,
	parleyv1.SettleAction_SETTLE_ACTION_DEAD: queue.Bury,
}

func settlementFrom(in *parleyv1.Settlement) (s queue.Settlement, err error) {
	action, known := actions[in.GetAction()]
	if !known {
		return s, parley.BadField("action", "is none that is known", "send one of SettleAction")
	}
	s = queue.Settlement{Lease: in.GetLease(), Action: action, Cause: in.GetCause()}
	if action == queue.Ack && in.GetResult() == nil && in.GetDelay() == nil && in.GetExtend() == nil && in.GetCause() == "" && in.GetNote() == "" && in.GetProgress() == 0 {
		return s, nil // as most are
	}
	for _, m := range [...]struct {
		name  string
		there bool
		fits  bool
	}{
		{"delay", in.GetDelay() != nil, action == queue.Nack},
		{"extend", in.GetExtend() != nil, action == queue.Extend || action == queue.Report},
		{"cause", in.GetCause() != "", action == queue.Nack || action == queue.Bury},
		{"progress", in.GetProgress() != 0, action == queue.Report},
		{"note", in.GetNote() != "", action == queue.Report},
		{"result", in.GetResult() != nil, action == queue.Ack},
	} {
		if m.there && !m.fits {
			return s, parley.BadField(m.name, "is no field of the action "+string(action), "leave it out")
		}
	}
	if in.GetDelay() != nil {
		delay, err := spanFrom("delay", in.GetDelay(), queue.MaxDelay)
		if err != nil {
			return s, err
		}
		s.Delay = &delay
	}
	if s.Extend, err = spanFrom("extend", in.GetExtend(), queue.MaxVisibility); err != nil {
		return s, err
	}
	if action == queue.Report {
		if p := in.GetProgress(); !(p >= 0 && p <= 1) {
			return s, parley.BadField("progress", "is no part of the whole", "send a number from 0 to 1")
		}
		s.Progress = &queue.Progress{Fraction: in.GetProgress(), Note: in.GetNote()}
	}
	if out := in.GetResult(); out != nil {
		s.Result = &queue.Output{ContentType: out.GetContentType(), Data: out.GetData()}
	}
	return s, nil
}
