package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parleyhq/parley"
)

// metrics is the one registry of a server. Labels only have values of ours: names
// of routes, statuses and limits, never paths, topics or callers.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	calls    *prometheus.CounterVec
	events   prometheus.Counter
	bytes    prometheus.Counter
	appends  *prometheus.CounterVec
	limited  *prometheus.CounterVec
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_http_requests_total", Help: "Requests answered, by route and status. Streams and sockets count when they begin."}, []string{"route", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "parley_http_request_seconds", Help: "Time in the handler, by route.", Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 30}}, []string{"route"}),
		calls:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_grpc_calls_total", Help: "gRPC calls that have ended, by route and code."}, []string{"route", "code"}),
		events:   prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_published_events_total", Help: "Events appended to topics, through whatever door."}),
		bytes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_published_bytes_total", Help: "Encoded bytes of the events appended to topics."}),
		appends:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_commits_total", Help: "Commits of the engine, by outcome: ok or the code of the error."}, []string{"outcome"}),
	}
	m.limited = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_throttle_decisions_total", Help: "Decisions of limits, by limit and decision: allowed, rejected, shaped (let in after a wait), or would_reject (in shadow mode)."}, []string{"limit", "decision"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_build_info", Help: "1, labelled with the version.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.seconds, m.calls, m.events, m.bytes, m.appends, m.limited, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// gauge adds a figure that is looked up when it is asked for.
func (m *metrics) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Request implements httpapi.Observer.
func (m *metrics) Request(route string, status int, took time.Duration) {
	text := "other"
	if status >= 100 && status < 600 {
		text = strconv.Itoa(status)
	}
	m.requests.WithLabelValues(route, text).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// Call implements grpcapi.Observer. There is no histogram: most calls are streams.
func (m *metrics) Call(route, code string, _ time.Duration) {
	m.calls.WithLabelValues(route, code).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// metered counts what goes into an engine.
type metered struct {
	engine
	m *metrics
}

// Append implements parley.Log.
func (e metered) Append(ctx context.Context, writes ...parley.Write) ([]parley.Appended, error) {
	done, err := e.engine.Append(ctx, writes...)
	if err != nil {
		e.m.appends.WithLabelValues(parley.CodeOf(err).String()).Inc()
		return done, err
	}
	e.m.appends.WithLabelValues("ok").Inc()
	for i, w := range writes {
		if w.Batch.IsZero() || done[i].Repeat || strings.HasPrefix(w.Stream.Name, "$") {
			continue
		}
		e.m.events.Add(float64(w.Batch.Len()))
		e.m.bytes.Add(float64(w.Batch.Size()))
	}
	return done, nil
}
