package server

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Whatever clients ask for, the number of time series does not grow: paths,
// topics, methods and callers are no labels.
func TestMetricsCardinality(t *testing.T) {
	r := start(t, nil)
	series := func() map[string]bool {
		found := map[string]bool{}
		for line := range strings.SplitSeq(r.want(200, "GET", "/metrics", ""), "\n") {
			if name, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "parley_") {
				found[name] = true
			}
		}
		return found
	}
	provoke := func(n int) {
		r.want(201, "POST", fmt.Sprintf("/v1/topics/t%d/events", n), "x")
		r.want(200, "GET", fmt.Sprintf("/v1/topics/t%d/events?after=earliest&n=%d", n, n), "")
		r.want(404, "GET", fmt.Sprintf("/v1/topics/no%d/x", n), "")
		r.want(405, fmt.Sprintf("M%d", n), "/v1/topics", "")
	}
	provoke(0)
	before := series()
	for n := 1; n < 20; n++ {
		provoke(n)
	}
	for name := range series() {
		if !before[name] {
			t.Errorf("a new series: %s", name)
		}
	}
	text := r.want(200, "GET", "/metrics", "")
	for _, want := range []string{
		`parley_http_requests_total{route="publish",status="201"} 20`,
		`parley_http_requests_total{route="none",status="405"} 20`,
		"parley_published_events_total 20", "parley_topics 25", "parley_live_connections 0", "parley_open_connections 1",
		`parley_build_info{version="test"} 1`, "go_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if bytes := regexp.MustCompile(`parley_published_bytes_total ([\d.e+]+)`).FindStringSubmatch(text); bytes == nil || bytes[1] == "0" {
		t.Errorf("published bytes are %v", bytes)
	}
}

// A status that no standard knows does not make a series of its own.
func TestOddStatusIsOther(t *testing.T) {
	m := newMetrics("x")
	for status := 900; status < 1000; status++ {
		m.Request("r", status, time.Millisecond)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "parley_http_requests_total" && (len(f.GetMetric()) != 1 || f.GetMetric()[0].GetCounter().GetValue() != 100) {
			t.Errorf("gives %v", f)
		}
	}
}
