package queue

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

// RegistryStream is where a Registry keeps which queues there are: events of these
// types, whose subject is the queue's name. The data of a creation is
// {"number": n}; numbers grow and are never used again.
const (
	RegistryStream = "$queues"
	TypeCreated    = "parley.queue.created"
	TypeDeleted    = "parley.queue.deleted"
)

const registrySource = "/queues"

// catalog is what RegistryStream folds to. It is pure: no lock, clock or log.
type catalog struct {
	numbers map[string]uint64 // of the queues that are there
	last    uint64            // the newest number that was given
}

type creation struct {
	Number uint64 `json:"number"`
}

// apply folds one event. Those of types that are not known do nothing, since a
// later version wrote them. Error: Damaged, and the catalog is as it was.
func (c *catalog) apply(e *parley.Event) error {
	_, there := c.numbers[e.Subject]
	switch e.Type {
	case TypeCreated:
		var data creation
		if err := json.Unmarshal(e.Data, &data); err != nil || there || data.Number <= c.last || CheckName(e.Subject) != nil {
			return parley.Errorf(parley.Damaged, "the creation of queue %q in %s does not follow what is before it", e.Subject, RegistryStream)
		}
		c.numbers[e.Subject], c.last = data.Number, data.Number
	case TypeDeleted:
		delete(c.numbers, e.Subject)
	}
	return nil
}

// create decides whether a queue may be made. A nil event means that it is there.
// Error: Overloaded.
func (c *catalog) create(name string, most int) (*parley.Event, error) {
	if _, there := c.numbers[name]; there {
		return nil, nil
	}
	if len(c.numbers) >= most {
		return nil, &parley.Error{Code: parley.Overloaded, Field: "queue", Detail: "there are " + strconv.Itoa(most) + " queues, as many as can be", Fix: "delete queues that nobody uses, or raise queues.max in the configuration"}
	}
	data, err := json.Marshal(creation{c.last + 1})
	if err != nil {
		return nil, err
	}
	return &parley.Event{Type: TypeCreated, Source: registrySource, Subject: name, DataContentType: "application/json", Data: data}, nil
}

// remove decides whether a queue may go. Error: NotFound.
func (c *catalog) remove(name string) (*parley.Event, error) {
	if _, there := c.numbers[name]; !there {
		return nil, noQueue(name)
	}
	return &parley.Event{Type: TypeDeleted, Source: registrySource, Subject: name}, nil
}

// left says whether a stream is that of a queue which is gone: whoever removed it
// may have been interrupted.
func (c *catalog) left(stream string) bool {
	rest, ours := strings.CutPrefix(stream, streamPrefix)
	dot := strings.LastIndexByte(rest, '.')
	if !ours || dot < 0 {
		return false
	}
	number, err := strconv.ParseUint(rest[dot+1:], 10, 64)
	if err != nil || number == 0 || number > c.last {
		return false
	}
	name, jobs := strings.CutSuffix(rest[:dot], ".jobs")
	if !jobs {
		var moves bool
		if name, moves = strings.CutSuffix(name, ".moves"); !moves {
			return false
		}
	}
	return c.numbers[name] != number
}

func noQueue(name string) error {
	return &parley.Error{Code: parley.NotFound, Field: "queue", Detail: "there is no queue " + strconv.Quote(name[:min(len(name), MaxName)]), Fix: "make it with PUT /v1/queues/{queue}, or see GET /v1/queues for those there are"}
}
