// Package graph has pipes over events as data: one type, Graph, that is built
// equally from a line of text, YAML and Go, checked as a whole, and run by a machine
// that is told events and time.
//
//	g, err := graph.ParseText("topic orders | where data.total > 100 | topic big-orders")
//	plan, err := graph.Compile(g, graph.Options{Expr: where.Compile, Fields: where.Fields, Test: where.Test, JQ: jq.Compile, Template: jq.Template})
//	m, err := plan.Machine()
//	out, err := m.Step(ctx, now, 0, events)     // out.Sinks[0] is for big-orders
//
// Kinds lists the sources, stages and sinks. Sources and sinks are a driver's: it
// opens what Plan.Sources and Plan.Sinks say, and package pattern/pipe/local has one
// for all of them but topics.
//
//	            guarantee                                      who keeps it
//	errors      an event that fails goes to the catch behind   Machine
//	            it, else to Dead, else the driver is given it:
//	            never on as if nothing had happened
//	state       all of it is in Snapshot; outputs, snapshot    Machine, driver
//	            and the source's place in one commit make a
//	            pipe effectively once
//	loss        Low says what is done without the state: who   Machine, driver
//	            begins again there loses nothing
//	ids         what a stage makes of an event has an id that  Machine
//	            is derived from the event's, the stage and the
//	            number among several: the same every time
//	memory      bounded in every stage: see Kind.Holds         Machine
//	time        told; windows go by the events' own            driver
//	work        data is gone through once for all stages up    Machine
//	            to one that makes other data; of lines and
//	            records no more is made than they ask for
//
// The package does no I/O and starts nothing, but for programs of exec, which go
// through an interface.
package graph
