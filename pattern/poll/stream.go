package poll

import (
	"context"

	"github.com/parleyhq/parley/pattern/pubsub"
)

// JSON is the format in which events are polled: structured CloudEvents.
var JSON = &pubsub.Format{Name: "json", Append: func(dst []byte, v *pubsub.View) []byte { return v.AppendJSON(dst) }}

// pageBytes is about how much a page may hold beside its limit of events.
const pageBytes = 1 << 20

// ReadPage takes a page from where a subscription is, and never waits. A place
// that cannot be kept is an error: Trimmed or BadCursor.
func ReadPage(ctx context.Context, sub *pubsub.Subscription, limit int) (Page, error) {
	var p Page
	room := pageBytes
	for room > 0 {
		d, err := sub.Fetch(ctx, room)
		if err != nil {
			return Page{}, err
		}
		for i := range d.Notices {
			return Page{}, d.Notices[i].Err()
		}
		if len(d.Chunks) == 0 {
			break
		}
		if room -= p.take(&d, limit); p.More {
			p.Cursor = d.Cursor()
			return p, nil
		}
	}
	p.Cursor = sub.Cursor()
	if room > 0 {
		return p, nil
	}
	// Full by size: whether more is there decides when the client comes back.
	d, err := sub.Fetch(ctx, 1)
	if err != nil {
		return Page{}, err
	}
	p.More = len(d.Chunks) > 0 || len(d.Notices) > 0
	return p, nil
}

// take adds the events of a delivery, as long as the limit allows; More says that
// some were left.
func (p *Page) take(d *pubsub.Delivery, limit int) (bytes int) {
	for _, c := range d.Chunks {
		frame := c.Frame(JSON)
		views := c.Views()
		for i := range views {
			if len(p.Events) == limit {
				p.More = true
				return bytes
			}
			event := frame.Event(c.First + i)
			bytes += len(event)
			p.Events = append(p.Events, event)
			if !c.Fleeting {
				d.Advance(&views[i])
			}
		}
	}
	return bytes
}

// PageOf is the page of the newest events, which a reader without a place looks
// at first.
func PageOf(h pubsub.Page) Page {
	p := Page{Cursor: h.Cursor, Before: h.Before}
	for i := range h.Events {
		p.Events = append(p.Events, h.Events[i].AppendJSON(nil))
	}
	return p
}
