package server

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleyhq/parley/pattern/pipe/declared"
)

// namedPipes is how many pipes have series of their own: the first by name. All others
// are added up under "~other", which is no name that a pipe can have. namedSteps is how
// many steps of all pipes have series: those of the first pipes by name.
const (
	namedPipes = 200
	namedSteps = 2000
)

// pipeGauges tells how the pipes are when it is asked for. Every node tells the same of
// all pipes, whoever owns them.
type pipeGauges struct {
	pipes *declared.Registry
	life  context.Context //nolint:containedctx // of the server: a collector is given none

	named, steps int // namedPipes, namedSteps
}

var (
	pipeCount  = prometheus.NewDesc("parley_pipes", "Declared pipes, shared stages included.", nil, nil)
	pipeState  = prometheus.NewDesc("parley_pipe_state", "1, by pipe and what it does: running, paused, stopped, done, or failing, when it cannot go on now. Only the first 200 pipes by name are told.", []string{"pipe", "state"}, nil)
	pipeEvents = prometheus.NewDesc("parley_pipe_events_total", "Events in the life of a pipe, by pipe and what became of them: in, out or dead. The first 200 pipes by name have labels of their own, the others are added up as ~other.", []string{"pipe", "event"}, nil)
	pipeLag    = prometheus.NewDesc("parley_pipe_lag_events", "Events of its topics that a pipe has not read, by pipe. Counting stops after 4 MiB of each partition.", []string{"pipe"}, nil)
	pipeCommit = prometheus.NewDesc("parley_pipe_commit_seconds", "From the first step to the commit, the last time; of several partitions, the longest. By pipe.", []string{"pipe"}, nil)
	pipeKept   = prometheus.NewDesc("parley_pipe_state_bytes", "Bytes that the stages of a pipe keep, by pipe.", []string{"pipe"}, nil)
	stepEvents = prometheus.NewDesc("parley_pipe_step_events_total", "Events at a step since its pipe's owners began, by pipe, path of the step, its kind, and what became of them: in, out or error. Of the pipes by name, the first 2000 steps are told.", []string{"pipe", "step", "kind", "event"}, nil)
	stepTimes  = prometheus.NewDesc("parley_pipe_step_runs_total", "Times that a step was given some events.", []string{"pipe", "step", "kind"}, nil)
	stepTime   = prometheus.NewDesc("parley_pipe_step_seconds_total", "Time that a step took, without the steps behind it: by parley_pipe_step_runs_total, the mean.", []string{"pipe", "step", "kind"}, nil)
	stepMost   = prometheus.NewDesc("parley_pipe_step_max_seconds", "The longest time that a step took.", []string{"pipe", "step", "kind"}, nil)
)

// Describe implements prometheus.Collector.
func (g *pipeGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pipeCount, pipeState, pipeEvents, pipeLag, pipeCommit, pipeKept, stepEvents, stepTimes, stepTime, stepMost} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *pipeGauges) Collect(ch chan<- prometheus.Metric) {
	all := g.pipes.List()
	ch <- prometheus.MustNewConstMetric(pipeCount, prometheus.GaugeValue, float64(len(all)))
	stats := g.ask(all)
	var rest declared.Stats
	named, others, steps := 0, false, 0
	for i, s := range stats {
		switch {
		case s == nil:
		case named < g.named:
			named++
			t := teller{ch: ch, pipe: all[i].Name}
			t.tell(pipeState, prometheus.GaugeValue, 1, string(s.State))
			t.whole(s)
			for j := range s.Steps {
				if steps++; steps <= g.steps {
					t.step(&s.Steps[j])
				}
			}
		default:
			others = true
			rest.In += s.In
			rest.Out += s.Out
			rest.Dead += s.Dead
			rest.Lag += s.Lag
			rest.StateBytes += s.StateBytes
			rest.CommitMicros = max(rest.CommitMicros, s.CommitMicros)
		}
	}
	if others {
		t := teller{ch: ch, pipe: "~other"}
		t.whole(&rest)
	}
}

// ask asks the owners of all pipes. One that does not answer in time is left out, as
// are shared stages.
func (g *pipeGauges) ask(all []declared.Info) []*declared.Stats {
	ctx, cancel := context.WithTimeout(g.life, gaugePatience)
	defer cancel()
	stats := make([]*declared.Stats, len(all))
	next := make(chan int)
	var asking sync.WaitGroup
	for range min(8, len(all)) {
		asking.Go(func() {
			for i := range next {
				if all[i].Stages {
					continue
				}
				if s, err := g.pipes.Stats(ctx, all[i].Name); err == nil {
					stats[i] = &s
				}
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	asking.Wait()
	return stats
}

// teller tells of one pipe.
type teller struct {
	ch   chan<- prometheus.Metric
	pipe string
}

func (t *teller) tell(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
	t.ch <- prometheus.MustNewConstMetric(d, kind, v, append([]string{t.pipe}, labels...)...)
}

// whole tells what is of the pipe as a whole. Of one that is stopped nobody knows it.
func (t *teller) whole(s *declared.Stats) {
	if s.State == declared.Stopped {
		return
	}
	t.tell(pipeEvents, prometheus.CounterValue, float64(s.In), "in")
	t.tell(pipeEvents, prometheus.CounterValue, float64(s.Out), "out")
	t.tell(pipeEvents, prometheus.CounterValue, float64(s.Dead), "dead")
	t.tell(pipeLag, prometheus.GaugeValue, float64(s.Lag))
	t.tell(pipeCommit, prometheus.GaugeValue, float64(s.CommitMicros)/1e6)
	t.tell(pipeKept, prometheus.GaugeValue, float64(s.StateBytes))
}

func (t *teller) step(s *declared.StepStats) {
	t.tell(stepEvents, prometheus.CounterValue, float64(s.In), s.Path, s.Kind, "in")
	t.tell(stepEvents, prometheus.CounterValue, float64(s.Out), s.Path, s.Kind, "out")
	t.tell(stepEvents, prometheus.CounterValue, float64(s.Errors), s.Path, s.Kind, "error")
	t.tell(stepTimes, prometheus.CounterValue, float64(s.Times), s.Path, s.Kind)
	t.tell(stepTime, prometheus.CounterValue, s.Micros*float64(s.Times)/1e6, s.Path, s.Kind)
	t.tell(stepMost, prometheus.GaugeValue, float64(s.MostMicros)/1e6, s.Path, s.Kind)
}
