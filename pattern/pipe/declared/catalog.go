package declared

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// RegistryStream is where a Registry keeps its pipes: events of these types, whose
// subject is the pipe's name.
const (
	RegistryStream = "$pipes"
	TypePut        = "parley.pipe.put"
	TypeState      = "parley.pipe.state"
	TypeDeleted    = "parley.pipe.deleted"
	TypeSpread     = "parley.pipe.spread"
)

const registrySource = "/pipes"

// State is what a pipe is to do, or does.
type State string

// The states. The first three are those that can be set.
const (
	Running State = "running"
	Paused  State = "paused"  // it has an owner and does nothing
	Stopped State = "stopped" // it has none; nothing is held back for it
	Done    State = "done"    // a head has had all that it takes
	Failing State = "failing" // it cannot go on now, and tries again
	idle    State = "idle"    // of an owner that has no partition
)

// record is what is known of one pipe or shelf.
type record struct {
	number   uint64 // of its creation
	revision uint64 // of its text
	begin    uint64 // the revision with which its stages began anew
	text     string
	origin   Origin
	want     State
	uses     []string // shared stages, as SHELF.STAGE
	parts    int      // owners that it has: one for each partition of its source, never fewer than there were
}

// putData is the data of TypePut.
type putData struct {
	Revision   uint64 `json:"revision"`
	Begin      bool   `json:"begin,omitempty"`
	Origin     Origin `json:"origin,omitempty"`
	State      State  `json:"state,omitempty"`
	Definition string `json:"definition"`
}

type stateData struct {
	State State `json:"state"`
}

// spreadData is the data of TypeSpread.
type spreadData struct {
	Partitions int `json:"partitions"`
}

// catalog is what RegistryStream folds to. It is pure: no lock, clock or log.
type catalog struct {
	pipes map[string]record
	last  uint64 // revisions grow, and none is used again
	bytes int    // of all texts
}

// Bounds of a catalog.
const (
	DefaultMaxPipes = 1000
	maxBytes        = 64 << 20
)

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// CheckName tells whether name can be that of a pipe: up to 64 small letters, digits,
// "-" and "_", the first a letter. Error: Invalid.
func CheckName(name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	return parley.BadField("pipe", strconv.Quote(name[:min(len(name), 80)])+" cannot be a pipe's name", "use up to 64 small letters, digits, - and _, the first a letter")
}

// apply folds one event. Those of types that are not known do nothing, since a later
// version wrote them. Error: Damaged, and the catalog is as it was.
func (c *catalog) apply(e *parley.Event) error {
	was, there := c.pipes[e.Subject]
	switch e.Type {
	case TypePut:
		var d putData
		if err := json.Unmarshal(e.Data, &d); err != nil || d.Revision <= c.last || CheckName(e.Subject) != nil {
			return damaged(e)
		}
		now := record{number: was.number, revision: d.Revision, begin: was.begin, text: d.Definition, origin: d.Origin, want: was.want, uses: usesOf(d.Definition), parts: was.parts}
		if !there {
			now.number, now.want = d.Revision, Running
		}
		if !there || d.Begin {
			now.begin = d.Revision
		}
		if d.State != "" {
			now.want = d.State
		}
		c.pipes[e.Subject], c.last = now, d.Revision
		c.bytes += len(now.text) - len(was.text)
	case TypeState:
		var d stateData
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return damaged(e)
		}
		if there {
			was.want = d.State
			c.pipes[e.Subject] = was
		}
	case TypeSpread:
		var d spreadData
		if err := json.Unmarshal(e.Data, &d); err != nil || d.Partitions < 1 || d.Partitions > MaxSpread {
			return damaged(e)
		}
		if there {
			was.parts = max(was.parts, d.Partitions)
			c.pipes[e.Subject] = was
		}
	case TypeDeleted:
		c.bytes -= len(was.text)
		delete(c.pipes, e.Subject)
	}
	return nil
}

// usesOf gives the shared stages that a definition uses.
func usesOf(text string) []string {
	if !strings.Contains(text, "use") {
		return nil
	}
	return slices.DeleteFunc(graph.Uses([]byte(text)), func(name string) bool { return !strings.Contains(name, ".") })
}

// users gives the pipes that use stages of a shelf, sorted.
func (c *catalog) users(shelf string) (names []string) {
	for name, rec := range c.pipes {
		if slices.ContainsFunc(rec.uses, func(u string) bool { return strings.HasPrefix(u, shelf+".") }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func damaged(e *parley.Event) error {
	return parley.Errorf(parley.Damaged, "the %s of pipe %q in %s does not follow what is before it", e.Type, e.Subject, RegistryStream)
}

// put makes the event of a definition. Error: Overloaded.
func (c *catalog) put(name, text string, d putData, most int) (*parley.Event, error) {
	was, there := c.pipes[name]
	switch {
	case !there && len(c.pipes) >= most:
		return nil, &parley.Error{Code: parley.Overloaded, Field: "pipe", Detail: "there are " + strconv.Itoa(most) + " pipes, as many as can be", Fix: "delete those that nobody uses, or raise pipes.max in the configuration"}
	case c.bytes+len(text)-len(was.text) > maxBytes:
		return nil, &parley.Error{Code: parley.Overloaded, Field: "definition", Detail: "the definitions of all pipes have more than " + strconv.Itoa(maxBytes) + " bytes together", Fix: "delete those that nobody uses"}
	}
	d.Revision, d.Definition = c.last+1, text
	return event(TypePut, name, d)
}

func event(kind, name string, data any) (*parley.Event, error) {
	e := &parley.Event{Type: kind, Source: registrySource, Subject: name}
	if data == nil {
		return e, nil
	}
	var err error
	e.DataContentType = "application/json"
	e.Data, err = json.Marshal(data)
	return e, err
}

const streamPrefix = "$pipe."

func streamOf(name string, number uint64) parley.Stream {
	return parley.Stream{Name: streamPrefix + name + "." + strconv.FormatUint(number, 10)}
}

// partOf is the stream of one owner of a pipe; the first has that of the pipe.
func partOf(pipe parley.Stream, part int) parley.Stream {
	if part == 0 {
		return pipe
	}
	return parley.Stream{Name: pipe.Name + "." + strconv.Itoa(part)}
}

// left says whether a stream is that of a pipe which is gone: whoever removed it may
// have been interrupted.
func (c *catalog) left(stream string) bool {
	rest, ours := strings.CutPrefix(stream, streamPrefix)
	name, digits, two := strings.Cut(rest, ".")
	digits, _, _ = strings.Cut(digits, ".") // of which part does not matter
	number, err := strconv.ParseUint(digits, 10, 64)
	if !ours || !two || err != nil || number > c.last {
		return false
	}
	r, there := c.pipes[name]
	return !there || r.number != number
}

func noPipe(name string) error {
	return &parley.Error{Code: parley.NotFound, Field: "pipe", Detail: "there is no pipe " + strconv.Quote(name[:min(len(name), 80)]), Fix: "make it with PUT /v1/pipes/{pipe}, or see GET /v1/pipes for those there are"}
}
