package server

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleyhq/parley/pattern/queue"
)

// namedQueues is how many queues have series of their own: the first by name.
// All others are added up under "~other", which is no name
// that a queue can have.
const namedQueues = 200

// queueGauges tells the state of the queues when it is asked for. Every node tells
// the same of all queues, whoever owns them.
type queueGauges struct{ queues *queue.Registry }

var (
	queueCount = prometheus.NewDesc("parley_queues", "Queues.", nil, nil)
	queueJobs  = prometheus.NewDesc("parley_queue_jobs", "Jobs, by queue and state: ready, delayed, leased or dead. The first 200 queues by name have labels of their own, the others are added up as ~other.", []string{"queue", "state"}, nil)
	queueTotal = prometheus.NewDesc("parley_queue_jobs_total", "Jobs in the life of a queue, by queue and what became of them: enqueued or done.", []string{"queue", "event"}, nil)
	queueAge   = prometheus.NewDesc("parley_queue_oldest_seconds", "Age of the oldest ready job, by queue; of ~other, the highest.", []string{"queue"}, nil)
	queueWait  = prometheus.NewDesc("parley_queue_waiting_workers", "Requests for jobs that wait, by queue.", []string{"queue"}, nil)
)

// Describe implements prometheus.Collector.
func (g *queueGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueCount, queueJobs, queueTotal, queueAge, queueWait} {
		ch <- d
	}
}

// gaugePatience is how long one round of questions may take; a queue that does not
// answer is left out.
const gaugePatience = 3 * time.Second

// Collect implements prometheus.Collector.
func (g *queueGauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugePatience) //nolint:forbidigo // Prometheus gives none
	defer cancel()
	all := g.queues.List()
	ch <- prometheus.MustNewConstMetric(queueCount, prometheus.GaugeValue, float64(len(all)))
	stats := make([]*queue.Stats, len(all))
	next := make(chan int)
	var asking sync.WaitGroup
	for range min(8, len(all)) {
		asking.Go(func() {
			for i := range next {
				if s, err := all[i].Stats(ctx); err == nil {
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
	var rest queue.Stats
	now := time.Now()
	for i, s := range stats {
		switch {
		case s == nil:
		case i < namedQueues:
			tellQueue(ch, all[i].Name(), s, now)
		default:
			addQueue(&rest, s)
		}
	}
	if len(all) > namedQueues {
		tellQueue(ch, "~other", &rest, now)
	}
}

func addQueue(to, s *queue.Stats) {
	to.Ready += s.Ready
	to.Delayed += s.Delayed
	to.Leased += s.Leased
	to.Dead += s.Dead
	to.Enqueued += s.Enqueued
	to.Done += s.Done
	to.Waiting += s.Waiting
	if to.Oldest.IsZero() || !s.Oldest.IsZero() && s.Oldest.Before(to.Oldest) {
		to.Oldest = s.Oldest
	}
}

func tellQueue(ch chan<- prometheus.Metric, name string, s *queue.Stats, now time.Time) {
	gauge := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, append([]string{name}, labels...)...)
	}
	gauge(queueJobs, prometheus.GaugeValue, float64(s.Ready), "ready")
	gauge(queueJobs, prometheus.GaugeValue, float64(s.Delayed), "delayed")
	gauge(queueJobs, prometheus.GaugeValue, float64(s.Leased), "leased")
	gauge(queueJobs, prometheus.GaugeValue, float64(s.Dead), "dead")
	gauge(queueTotal, prometheus.CounterValue, float64(s.Enqueued), "enqueued")
	gauge(queueTotal, prometheus.CounterValue, float64(s.Done), "done")
	gauge(queueWait, prometheus.GaugeValue, float64(s.Waiting))
	age := 0.0
	if !s.Oldest.IsZero() {
		age = max(0, now.Sub(s.Oldest).Seconds())
	}
	gauge(queueAge, prometheus.GaugeValue, age)
}
