package graph

// keyParam is the parameter of stages that do what they do for each key.
func keyParam() Param {
	return Param{Name: "key", Type: Expression, Option: true, Doc: "what events are kept apart by"}
}

func stageKinds() []Kind { return append(append(eachKinds(), holdKinds()...), branchKinds()...) }

// eachKinds work on each event by itself.
func eachKinds() []Kind {
	return []Kind{
		{Name: "where", Roles: IsStage, Doc: "passes events for which an expression is true", Example: "where data.total > 100", make: makeWhere, Params: []Param{
			{Name: "expr", Type: Expression, Need: true, Doc: "the condition"},
		}},
		{Name: "map", Roles: IsStage, Doc: "makes one event of each, by a jq program that gives one value", Example: "map {id: .id}", make: makeMap, Params: []Param{
			{Name: "jq", Type: JQ, Need: true, Doc: "the program; its input is the event's data"},
		}},
		{Name: "jq", Roles: IsStage, Doc: "makes any number of events of each, one for each value that a jq program gives", Example: "jq .items[]", make: makeJQ, Params: []Param{
			{Name: "jq", Type: JQ, Need: true, Doc: "the program; its input is the event's data"},
		}},
		{Name: "pick", Roles: IsStage, Doc: "keeps only these members of the data", Example: "pick id customer.name", make: makePick, Params: []Param{
			{Name: "fields", Type: Text, Need: true, Many: true, Doc: "members; dots go down"},
		}},
		{Name: "drop", Roles: IsStage, Doc: "takes members out of the data", Example: "drop password", make: makeDrop, Params: []Param{
			{Name: "fields", Type: Text, Need: true, Many: true, Doc: "members; dots go down"},
		}},
		{Name: "validate", Roles: IsStage, Doc: "fails events for which an expression is not true, or whose data breaks a JSON Schema", Example: "validate data.total >= 0", make: makeValidate, Params: []Param{
			{Name: "expr", Type: Expression, Doc: "the rule"},
			{Name: "schema", Type: Schema, Option: true, Doc: "in place of a rule: what the data has to be, as in --schema '{\"required\": [\"id\"]}'"},
		}},
		{Name: "split", Roles: IsStage, Doc: "makes an event of each element of a list", Example: "split data.items", make: makeSplit, Params: []Param{
			{Name: "of", Type: Expression, Doc: "the list; the data"},
			{Name: "lines", Type: Switch, Option: true, Doc: "the lines of text data instead"},
		}},
	}
}

// holdKinds keep events, or something of them.
func holdKinds() []Kind {
	return []Kind{
		{Name: "batch", Roles: IsStage, Doc: "makes one event with a list of their data of several", Example: "batch 100 1s", Holds: "the open batch", make: makeBatch, Params: []Param{
			{Name: "count", Type: Number, Doc: "events; 100 if nothing is given"},
			{Name: "every", Type: Duration, Doc: "time since the first"},
			{Name: "bytes", Type: Size, Doc: "bytes of data, as in 64K"},
		}},
		{Name: "window", Roles: IsStage, Doc: "makes one event with figures of those in a window of event time", Example: "window 1m --key data.city --of data.total", Holds: "figures of each open window, and with --collect its data", make: makeWindow, Params: []Param{
			{Name: "size", Type: Duration, Doc: "of a window"},
			{Name: "slide", Type: Duration, Option: true, Doc: "from one to the next; the size"},
			{Name: "gap", Type: Duration, Option: true, Doc: "sessions instead: one ends when nothing came for so long"},
			{Name: "lateness", Type: Duration, Option: true, Doc: "how far events may be out of order; not at all"},
			{Name: "idle", Type: Duration, Option: true, Doc: "without an event for so long, the clock goes on in their place; without it, windows wait"},
			keyParam(),
			{Name: "time", Type: Expression, Option: true, Doc: "an event's time: RFC 3339, or seconds since 1970; its time attribute"},
			{Name: "of", Type: Expression, Option: true, Doc: "a number, of which there are sum, min, max and mean"},
			{Name: "collect", Type: Switch, Option: true, Doc: "also all data, up to 10,000 events a window"},
			{Name: "late", Type: Pipe, Option: true, Doc: "where events go whose windows are closed; without it they fail"},
		}},
		{Name: "dedupe", Roles: IsStage, Doc: "leaves out events whose key came before", Example: "dedupe --within 10m", Holds: "up to --most keys, about 200 bytes each", make: makeDedupe, Params: []Param{
			{Name: "key", Type: Expression, Doc: "the key; source and id"},
			{Name: "within", Type: Duration, Option: true, Doc: "how long a key is remembered; 10m"},
			{Name: "most", Type: Number, Option: true, Doc: "how many keys are; 100000"},
		}},
		{Name: "throttle", Roles: IsStage, Doc: "lets events pass no faster than a rate", Example: "throttle 10/s", Holds: "events that wait; at 10,000 its source waits", make: makeThrottle, Params: []Param{
			{Name: "rate", Type: Rate, Need: true, Doc: "as in 10/s"},
			keyParam(),
		}},
		{Name: "delay", Roles: IsStage, Doc: "passes events so much later", Example: "delay 5s", Holds: "events that wait; at 10,000 its source waits", make: makeDelay, Params: []Param{
			{Name: "for", Type: Duration, Need: true, Doc: "how long"},
		}},
	}
}

// branchKinds have pipes of their own, or programs.
func branchKinds() []Kind {
	return []Kind{
		{Name: "tee", Roles: IsStage, Doc: "gives every event to other pipes, too", Example: "tee 'topic copy'", make: makeTee, Params: []Param{
			{Name: "to", Type: Pipe, Need: true, Many: true, Doc: "pipes without a source"},
		}},
		{Name: "route", Roles: IsStage, Doc: "gives events for which an expression is true to another pipe instead", Example: "route 'data.total > 1000' 'topic big'", make: makeRoute, Params: []Param{
			{Name: "when", Type: Expression, Need: true, Doc: "the condition"},
			{Name: "to", Type: Pipe, Need: true, Doc: "a pipe without a source"},
		}},
		{Name: "catch", Roles: IsStage, Doc: "gives events that failed in a stage before it to another pipe", Example: "catch 'topic orders.bad'", make: makeCatch, Params: []Param{
			{Name: "to", Type: Pipe, Need: true, Doc: "a pipe without a source"},
		}},
		{Name: "use", Roles: IsStage, Doc: "the named stages of the file, or of a shared one, in their place", Example: "use slim", Params: []Param{
			{Name: "name", Type: Text, Need: true, Doc: "the name, as in slim, or lib.slim of the shared stages lib"},
		}},
		{Name: "exec", Roles: IsSource | IsStage, rest: true, Doc: "runs a program: its lines as events, or over the data of events", Example: "exec ./enrich", make: makeExec, Params: execParams()},
	}
}

func execParams() []Param {
	return []Param{
		{Name: "command", Type: Text, Need: true, Many: true, Doc: "the program and its arguments; no shell is involved"},
		{Name: "mode", Type: Text, Option: true, OneOf: []string{"each", "filter", "batch"}, Doc: "each: a process for each event (the default); filter: one process, an answer for each event; batch: a process for all events at hand, whose answers are lines"},
		{Name: "framing", Type: Text, Option: true, OneOf: []string{"lines", "ndjson", "length"}, Doc: "of a filter: lines (the default), ndjson (null drops the event), or length: 4 bytes, big-endian, and the data"},
		{Name: "timeout", Type: Duration, Option: true, Doc: "of one process, or of a filter's one answer; 30s"},
		{Name: "max-output", Type: Size, Option: true, Doc: "bytes of one answer, or of a process in a batch; 1M"},
		{Name: "env", Type: Text, Option: true, Many: true, Doc: "variables that the program may see, beside PATH, HOME, LANG and TMPDIR"},
		{Name: "exit", Type: Text, Option: true, Many: true, Doc: "what an exit code means, as in 3=drop; drop, retry or dead. 75 is retry, any other but 0 dead"},
		{Name: "retry", Type: Number, Option: true, Doc: "tries; 3"},
		{Name: "format", Type: Text, Option: true, OneOf: []string{"auto", "text", "cloudevents"}, Doc: "of a source's lines"},
	}
}

// unixKinds are what a shell user knows, over the data of events.
func unixKinds() []Kind {
	by := Param{Name: "key", Type: Expression, Doc: "by what; the data"}
	n := Param{Name: "count", Short: "n", Type: Number, Doc: "how many; 10"}
	return []Kind{
		{Name: "grep", Roles: IsStage, Doc: "passes events whose data matches a regular expression (RE2)", Example: "grep -i error", make: makeGrep, Params: []Param{
			{Name: "pattern", Type: Text, Need: true, Doc: "the expression"},
			{Name: "ignore-case", Short: "i", Type: Switch, Option: true, Doc: "small and capital letters are the same"},
			{Name: "invert-match", Short: "v", Type: Switch, Option: true, Doc: "events that do not match"},
			{Name: "fixed-strings", Short: "F", Type: Switch, Option: true, Doc: "the pattern is text"},
		}},
		{Name: "cut", Roles: IsStage, Doc: "keeps fields of text data", Example: "cut -d , -f 1,3", make: makeCut, Params: []Param{
			{Name: "fields", Short: "f", Type: Text, Need: true, Option: true, Doc: "places from 1, as in 1,3-5,7-"},
			{Name: "delimiter", Short: "d", Type: Text, Option: true, Doc: "between fields; a tab"},
		}},
		{Name: "sort", Roles: IsStage, atEnd: true, Doc: "orders all events of a source that ends", Example: "sort data.total", Holds: "all events, up to 100,000", make: makeSort, Params: []Param{
			by,
			{Name: "reverse", Short: "r", Type: Switch, Option: true, Doc: "the other way round"},
		}},
		{Name: "uniq", Roles: IsStage, Doc: "makes one of equal events that follow each other", Example: "uniq", make: makeUniq, Params: []Param{
			by,
			{Name: "count", Short: "c", Type: Switch, Option: true, Doc: "as {\"count\": N, \"data\": …}"},
		}},
		{Name: "head", Roles: IsStage, Doc: "passes the first events, and ends the pipe", Example: "head -n 5", make: makeHead, Params: []Param{n}},
		{Name: "tail", Roles: IsStage, atEnd: true, Doc: "passes the last events of a source that ends", Example: "tail -n 5", Holds: "so many events", make: makeTail, Params: []Param{n}},
		{Name: "wc", Roles: IsStage, atEnd: true, Doc: "counts the events and bytes of a source that ends", Example: "wc", Holds: "two numbers", make: makeCount},
	}
}
