package graph

// Kinds lists everything that a pipe over events can be made of.
func Kinds() []Kind {
	all := append(sourceKinds(), stageKinds()...)
	all = append(all, unixKinds()...)
	all = append(all, sinkKinds()...)
	return append(all, absentKinds()...)
}

func sourceKinds() []Kind {
	return []Kind{
		{Name: "topic", Roles: IsSource | IsSink, Endless: true, Doc: "the events of topics, or publishes events to one", Example: "topic orders", Params: []Param{
			{Name: "name", Type: Text, Need: true, Many: true, Doc: "topics; as a source also patterns, as a sink one name"},
			{Name: "from", Type: Text, Option: true, Doc: "where a source begins: earliest (the default), latest, a cursor, or @ and an RFC 3339 time"},
			{Name: "until", Type: Text, Option: true, OneOf: []string{"end"}, Doc: "end: a source ends with what the topic holds when it gets there"},
			{Name: "as-one", Type: Switch, Option: true, Doc: "a declared pipe reads all partitions in one place, with one state; without it each partition has a state of its own"},
		}},
		{Name: "http", Roles: IsSource | IsSink, Endless: true, Doc: "asks a URL again and again, each answer an event, or posts each event to it", Example: "http http://127.0.0.1:8080/rates --every 10s", Params: []Param{
			{Name: "url", Type: Text, Need: true, Doc: "http or https"},
			{Name: "every", Type: Duration, Option: true, Doc: "a source's pace; 10s. An answer with the ETag, or else the bytes, of the one before is no event"},
			{Name: "timeout", Type: Duration, Option: true, Doc: "of one request; 30s"},
			{Name: "header", Type: Text, Option: true, Many: true, Doc: "a header, as in 'Authorization: Bearer …'"},
			{Name: "retry", Type: Number, Option: true, Doc: "tries of one request; 5"},
			{Name: "max", Type: Size, Option: true, Doc: "bytes of one answer; 1M"},
		}},
		{Name: "generate", Roles: IsSource, Doc: "makes events {\"n\": 0}, {\"n\": 1} and so on", Example: "generate --count 3", Params: []Param{
			{Name: "count", Short: "n", Type: Number, Doc: "how many; without it, no end"},
			{Name: "every", Type: Duration, Doc: "pace; without it, as fast as they are taken"},
		}},
		{Name: "cron", Roles: IsSource, Endless: true, Doc: "makes an event {\"at\": TIME} whenever a schedule says", Example: "cron '*/5 * * * *'", Params: []Param{
			{Name: "schedule", Type: Text, Need: true, Doc: "minute, hour, day of month, month and day of week, as in crontab(5), in UTC"},
		}},
		{Name: "stdin", Roles: IsSource, Doc: "the lines of standard input", Example: "stdin", Params: []Param{formatIn()}},
		{Name: "file", Roles: IsSource | IsSink, Doc: "the lines of files, or writes events to one, a line each", Example: "file orders.ndjson", Params: []Param{
			{Name: "path", Type: Text, Need: true, Many: true, Doc: "files; as a sink one"},
			formatIn(),
			{Name: "append", Type: Switch, Option: true, Doc: "a sink appends to the file; without it, the file must not be there"},
		}},
		{Name: "merge", Roles: IsSource, Doc: "several sources as one; events come as they come", Example: "merge 'topic a' 'topic b'", Params: []Param{
			{Name: "sources", Type: Source, Need: true, Many: true, Doc: "pipes without a sink"},
		}},
	}
}

func formatIn() Param {
	return Param{Name: "format", Type: Text, Option: true, OneOf: []string{"auto", "text", "cloudevents", "data"}, Doc: "of a line: auto (JSON if it is, else text), text, or cloudevents in JSON; of a sink: data or cloudevents"}
}

func sinkKinds() []Kind {
	return []Kind{
		{Name: "stdout", Roles: IsSink, Doc: "writes each event's data to standard output, a line each", Example: "stdout", Params: []Param{
			{Name: "format", Type: Text, Option: true, OneOf: []string{"data", "cloudevents"}, Doc: "data (the default), or the whole event in JSON"},
		}},
		{Name: "discard", Roles: IsSink, Doc: "takes events and does nothing with them", Example: "discard"},
	}
}

// absentKinds are known names whose patterns are not there yet.
func absentKinds() []Kind {
	var all []Kind
	for _, name := range []string{"queue", "webhook", "sse", "websocket", "rpc"} {
		all = append(all, Kind{Name: name, Roles: IsSource | IsStage | IsSink, Absent: true})
	}
	return all
}
