package server

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleyhq/parley/pattern/stream"
)

// namedGroups is how many groups have series of their own, and how many are asked
// at all: the first by name.
const namedGroups = 200

// groupGauges tells how far the groups are when it is asked for. Every node tells
// the same of all groups, whoever owns them.
type groupGauges struct {
	groups *stream.Groups
	life   context.Context //nolint:containedctx // of the server: a collector is given none
}

var (
	groupCount   = prometheus.NewDesc("parley_groups", "Consumer groups.", nil, nil)
	groupMembers = prometheus.NewDesc("parley_group_members", "Members, by group. Only the first 200 groups by name are told.", []string{"group"}, nil)
	groupLag     = prometheus.NewDesc("parley_group_lag_events", "Events that a group has not committed, by group. Only the first 200 groups by name are told, and those whose lag the log can tell.", []string{"group"}, nil)
)

// Describe implements prometheus.Collector.
func (g *groupGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- groupCount
	ch <- groupMembers
	ch <- groupLag
}

// Collect implements prometheus.Collector.
func (g *groupGauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(g.life, gaugePatience)
	defer cancel()
	names := g.groups.List()
	ch <- prometheus.MustNewConstMetric(groupCount, prometheus.GaugeValue, float64(len(names)))
	for _, name := range names[:min(len(names), namedGroups)] {
		group, err := g.groups.Get(ctx, name)
		if err != nil {
			continue
		}
		info, err := group.Describe(ctx)
		if err != nil {
			continue // left out: nobody answers for it now
		}
		ch <- prometheus.MustNewConstMetric(groupMembers, prometheus.GaugeValue, float64(len(info.Members)), name)
		if info.Lag >= 0 {
			ch <- prometheus.MustNewConstMetric(groupLag, prometheus.GaugeValue, float64(info.Lag), name)
		}
	}
}
