package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// message is what the body of a publish holds.
type message struct {
	events []parley.Event
	mode   parley.Mode // Plain: the events are data alone, and all else comes from the header
}

// messageOf reads a message: CloudEvents in any mode, NDJSON as one event a line,
// anything else as the data of one event. The events' data aliases body.
func messageOf(h http.Header, body []byte) (message, error) {
	key, _, err := single(h, "Parley-Key")
	if err != nil {
		return message{}, err
	}
	m, err := eventsOf(h, body)
	if err != nil || key == "" {
		return m, err
	}
	for i := range m.events {
		if e := &m.events[i]; e.Extensions[parley.PartitionKey] == "" {
			e.Set(parley.PartitionKey, key)
		}
	}
	return m, nil
}

// eventsOf is messageOf without a key.
func eventsOf(h http.Header, body []byte) (message, error) {
	contentType, _, err := single(h, "Content-Type")
	if err != nil {
		return message{}, err
	}
	mode, err := parley.ModeOf(h)
	if err != nil {
		return message{}, err
	}
	m := message{mode: mode}
	if mode == parley.Plain {
		m.events, err = plainEvents(h, contentType, body)
	} else if m.events, _, err = parley.ParseHTTP(h, body); err != nil {
		err = m.asRead(err)
	}
	return m, err
}

// plainEvents makes events of data, completed by the Parley- fields.
func plainEvents(h http.Header, contentType string, body []byte) ([]parley.Event, error) {
	for name := range h {
		if strings.HasPrefix(name, "Ce-") {
			return nil, parley.BadField("ce-specversion", "is missing beside "+strings.ToLower(name), "send ce-specversion: 1.0, or no ce- fields at all")
		}
	}
	kind, _, err := single(h, "Parley-Type")
	if err != nil {
		return nil, err
	}
	subject, _, err := single(h, "Parley-Subject")
	if err != nil {
		return nil, err
	}
	if isLines(contentType) {
		return ndjson(body, kind, subject)
	}
	switch contentType {
	case "", "application/x-www-form-urlencoded":
		// What curl -d says of any body: it is not what the user meant.
		contentType = sniff(body)
	}
	return []parley.Event{{Type: kind, Subject: subject, DataContentType: contentType, Data: body}}, nil
}

// isLines says whether a media type is that of JSON values by lines.
func isLines(contentType string) bool {
	if !strings.Contains(contentType, "json") || contentType == "application/json" { // the common case first
		return false
	}
	media, _, _ := mime.ParseMediaType(contentType)
	return media == "application/x-ndjson" || media == "application/ndjson" || media == "application/jsonl"
}

// sniff tells JSON from text from bytes.
func sniff(body []byte) string {
	switch {
	case !utf8.Valid(body):
		return "application/octet-stream"
	case json.Valid(body):
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// ndjson makes each line an event: its data, byte for byte without the line's
// end. Lines of white space are passed over.
func ndjson(body []byte, kind, subject string) ([]parley.Event, error) {
	var events []parley.Event
	for n := 1; len(body) > 0; n++ {
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		line, body = bytes.TrimSuffix(line, []byte{'\r'}), rest
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		if !json.Valid(line) || !utf8.Valid(line) {
			return nil, parley.BadField("line "+strconv.Itoa(n), "not JSON in UTF-8", "send one JSON value a line, or another content type")
		}
		if len(events) == parley.MaxBatchEvents {
			return nil, tooManyEvents()
		}
		events = append(events, parley.Event{Type: kind, Subject: subject, DataContentType: "application/json", Data: slices.Clip(line)})
	}
	if len(events) == 0 {
		return nil, parley.BadField("body", "no line holds an event", "send one JSON value a line")
	}
	return events, nil
}

// sources are the fields of a request from which attributes of plain events come.
var sources = map[string]string{
	"type": "Parley-Type", "subject": "Parley-Subject", parley.PartitionKey: "Parley-Key", "datacontenttype": "Content-Type",
}

// asSent names an attribute at fault as the user has sent it.
func (m *message) asSent(err error) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	attribute := e.Field[strings.LastIndexByte(e.Field, '.')+1:] // of "events[3].type"
	source, ok := sources[attribute]
	if !ok || m.mode != parley.Plain && attribute != parley.PartitionKey {
		return err
	}
	at := *e
	at.Field = source
	return &at
}

// asRead names the input at fault in a message that cannot be read. In binary
// mode all attributes are fields of the header, but the data's type.
func (m *message) asRead(err error) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	switch {
	case m.mode == parley.Binary && e.Field == "datacontenttype":
		at.Field = "Content-Type"
	case m.mode == parley.Binary && e.Field != "data" && !strings.HasPrefix(e.Field, "ce-"):
		at.Field = "ce-" + e.Field
	case e.Field == "":
		at.Field = "body"
	}
	return &at
}
