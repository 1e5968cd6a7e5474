package client

import "strings"

// Places joins a reader's places in several streams, each of which the server
// tells alone with an event, so that all readers share the event's bytes. It is for
// transports.
type Places struct {
	opening string // the place in all streams at the start; empty when there is one
	streams []place
}

type place struct {
	topic     string
	partition int
	cursor    string
}

// Open takes the cursor that a connection to topics begins with, and in how many
// streams it is a place. Where it is one, of a topic that is named, no other can
// join, and the cursor of an event is all.
func (p *Places) Open(cursor string, streams int, topics []string) {
	p.opening, p.streams = cursor, nil
	if streams == 1 && len(topics) == 1 && !strings.ContainsAny(topics[0], "*>") {
		p.opening = ""
	}
}

// After gives the reader's cursor behind an event whose own cursor is that of its
// stream.
func (p *Places) After(topic string, partition int, cursor string) string {
	if p.opening == "" {
		return cursor
	}
	known := false
	for i := range p.streams {
		if s := &p.streams[i]; s.topic == topic && s.partition == partition {
			s.cursor, known = cursor, true
		}
	}
	if !known {
		p.streams = append(p.streams, place{topic, partition, cursor})
	}
	joined := p.opening
	for _, s := range p.streams {
		joined += "," + s.cursor
	}
	return joined
}
