// Package local runs pipes over events in one process: it opens the sources and
// sinks of a graph, drives its machine, and runs the programs of its exec stages.
// Topics are reached through an interface.
//
//	plan, err := graph.Compile(g, graph.Options{Expr: where.Compile, Fields: where.Fields, Test: where.Test, JQ: jq.Compile, Template: jq.Template, Programs: local.Programs(os.Stderr)})
//	went, err := local.Run(ctx, plan, local.Env{In: os.Stdin, Out: os.Stdout, Topics: topics})
//
// The state of stages is in memory: a source that is told what is done (pipe.Acker)
// is told only what no stage keeps, so that a run that begins again there gives
// everything at least once, with the same ids.
package local
