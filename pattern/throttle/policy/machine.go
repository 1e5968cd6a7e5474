package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Stream is where the limits that were put are kept: events of these types, whose
// subject is the limit's name and whose data of a put is its Definition.
const (
	Stream      = "$limits"
	TypePut     = "parley.limit.put"
	TypeDeleted = "parley.limit.deleted"
)

const source = "/limits"

// machine is what Stream folds to. It is pure: no lock, clock or log.
type machine struct {
	limits   map[string]stored
	revision int64 // of the newest change: nanoseconds since 1970, or one more than the last
}

type stored struct {
	def      Definition
	changed  time.Time
	revision int64
}

// apply folds one event and names the limit that it changed, "" for none: events
// of types that are not known do nothing, since a later version wrote them.
// Error: Damaged, and the machine is as it was.
func (m *machine) apply(e *parley.Event) (name string, err error) {
	switch e.Type {
	case TypePut:
		var def Definition
		if err := json.Unmarshal(e.Data, &def); err != nil {
			return "", parley.Errorf(parley.Damaged, "limit %s in %s: %w", e.Subject, Stream, err)
		}
		m.revision = max(m.revision+1, e.Time.UnixNano())
		m.limits[e.Subject] = stored{def, e.Time, m.revision}
	case TypeDeleted:
		delete(m.limits, e.Subject)
	default:
		return "", nil
	}
	return e.Subject, nil
}

// put decides whether a limit may be as def, which is complete. A nil event means
// that it is so already. Error: Overloaded.
func (m *machine) put(name string, def Definition, most int) (*parley.Event, error) {
	have, there := m.limits[name]
	if there && same(have.def, def) {
		return nil, nil
	}
	if !there && len(m.limits) >= most {
		return nil, &parley.Error{Code: parley.Overloaded, Field: "limit", Detail: "there are " + strconv.Itoa(most) + " limits, as many as can be", Fix: "delete limits that nobody uses"}
	}
	data, err := json.Marshal(def)
	if err != nil {
		return nil, fmt.Errorf("encoding a limit: %w", err)
	}
	return &parley.Event{Type: TypePut, Source: source, Subject: name, DataContentType: "application/json", Data: data}, nil
}

// remove decides whether a limit may go. Error: NotFound.
func (m *machine) remove(name string) (*parley.Event, error) {
	if _, there := m.limits[name]; !there {
		return nil, notFound(name)
	}
	return &parley.Event{Type: TypeDeleted, Source: source, Subject: name}, nil
}

func same(a, b Definition) bool {
	one, errA := json.Marshal(a)
	other, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(one) == string(other)
}

func notFound(name string) error {
	return &parley.Error{Code: parley.NotFound, Field: "limit", Detail: "there is no limit " + strconv.Quote(name[:min(len(name), 100)]), Fix: "make it with PUT /v1/limits/{limit}, or see GET /v1/limits for those there are"}
}
